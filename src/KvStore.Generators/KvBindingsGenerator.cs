using System.Text;
using KvStore.Generators.Model;
using KvStore.Generators.Sources;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Text;

namespace KvStore.Generators;

/// <summary>
/// Generates <c>KvBindings</c> and <c>AddKvBindings</c> from the Wrangler file beside the project, and the other part of each
/// interface with <c>[KvNamespace]</c>.
/// </summary>
/// <remarks>Every step hands on values that compare by content, so that an edit elsewhere runs nothing again.</remarks>
[Generator(LanguageNames.CSharp)]
public sealed class KvBindingsGenerator : IIncrementalGenerator
{
    /// <summary>The names of the steps, for the test that an edit elsewhere runs none of them.</summary>
    internal static class Steps
    {
        public const string Files = "KvWranglerFiles";
        public const string File = "KvWranglerFile";
        public const string Options = "KvOptions";
        public const string Interfaces = "KvTypedNamespaces";
        public const string Registrations = "KvRegistrations";
    }

    /// <inheritdoc/>
    public void Initialize(IncrementalGeneratorInitializationContext context)
    {
        var readings = context.AdditionalTextsProvider
            .Where(static file => WranglerReading.RankOf(file.Path) >= 0)
            .Select(WranglerReading.Read)
            .WithTrackingName(Steps.Files);
        var files = readings.Collect().Select(static (all, _) => new EquatableArray<WranglerReading>(
            all.OrderBy(static reading => WranglerReading.RankOf(reading.Path)).ThenBy(static reading => reading.Path, StringComparer.Ordinal)));
        var model = files.Select(static (ordered, _) => ordered.Count > 0 ? ordered[0].Model : null).WithTrackingName(Steps.File);
        var options = context.AnalyzerConfigOptionsProvider.Select(static (provider, _) => BindingsOptions.Read(provider.GlobalOptions)).WithTrackingName(Steps.Options);
        var interfaces = context.SyntaxProvider
            .ForAttributeWithMetadataName("KvStore.KvNamespaceAttribute", static (node, _) => node is InterfaceDeclarationSyntax, TypedNamespaceReader.Read)
            .WithTrackingName(Steps.Interfaces);
        var registrations = interfaces.Collect().Select(static (all, _) => new EquatableArray<TypedRegistration>(
            all.Select(static reading => reading.Model).OfType<TypedNamespaceModel>().Where(static typed => typed.IsVisible)
                .Select(static typed => new TypedRegistration(typed.FullName, typed.Binding)).OrderBy(static typed => typed.FullName, StringComparer.Ordinal)))
            .WithTrackingName(Steps.Registrations);

        context.RegisterSourceOutput(files, ReportFiles);
        context.RegisterSourceOutput(model.Combine(options), static (output, source) =>
        {
            if (source.Left is { } file)
            {
                output.AddSource($"{source.Right.Name}.g.cs", Text(BindingsSource.Write(file, source.Right)));
            }
        });
        context.RegisterSourceOutput(model.Combine(options).Combine(registrations), static (output, source) =>
        {
            if (source.Left.Left is { } file)
            {
                var name = $"{source.Left.Right.Name}ServiceCollectionExtensions.g.cs";
                output.AddSource(name, Text(RegistrationSource.Write(file, source.Left.Right, source.Right)));
            }
        });
        context.RegisterSourceOutput(interfaces, static (output, reading) =>
        {
            foreach (var finding in reading.Findings)
            {
                output.ReportDiagnostic(finding.ToDiagnostic());
            }

            if (reading.Model is { } typed)
            {
                output.AddSource(HintOf(typed), Text(TypedNamespaceSource.Write(typed)));
            }
        });
        context.RegisterSourceOutput(interfaces.Combine(model), static (output, source) => ReportUnknown(output, source.Left.Model, source.Right));
    }

    private static void ReportFiles(SourceProductionContext output, EquatableArray<WranglerReading> ordered)
    {
        for (var i = 0; i < ordered.Count; i++)
        {
            if (i > 0)
            {
                var place = FileSpan.Of(ordered[i].Path, new(0, 0, 1, 1));
                output.ReportDiagnostic(Finding.Of(KvRules.SeveralFiles, place, Path.GetFileName(ordered[0].Path)).ToDiagnostic());
                continue;
            }

            foreach (var finding in ordered[i].Findings)
            {
                output.ReportDiagnostic(finding.ToDiagnostic());
            }
        }
    }

    // Where there is no file at all, a library may leave it to the application which namespace it is given.
    private static void ReportUnknown(SourceProductionContext output, TypedNamespaceModel? typed, WranglerModel? file)
    {
        if (typed is not null && file is not null && !file.Names.Contains(typed.Binding))
        {
            var names = string.Join(", ", file.Names);
            output.ReportDiagnostic(Finding.Of(
                KvRules.UnknownNamespace, typed.BindingPlace, typed.Binding, file.FileName, names.Length > 0 ? names : "none").ToDiagnostic());
        }
    }

    private static string HintOf(TypedNamespaceModel typed) => typed.FullName.Replace("global::", "").Replace("@", "") + ".g.cs";

    private static SourceText Text(string code) => SourceText.From(code, Encoding.UTF8);
}
