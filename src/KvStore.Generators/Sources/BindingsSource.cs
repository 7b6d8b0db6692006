using System.Globalization;
using KvStore.Generators.Model;

namespace KvStore.Generators.Sources;

/// <summary>The class with a property for each binding.</summary>
internal static class BindingsSource
{
    public static string Write(WranglerModel model, BindingsOptions options)
    {
        var code = new CodeWriter();
        var file = Literals.Xml(model.FileName);
        if (options.Namespace.Length > 0)
        {
            code.Line($"namespace {options.Namespace};");
            code.Line();
        }

        var names = model.Names.ToList();
        var type = Identifiers.Escape(options.Name);
        var properties = Identifiers.OfAll(
            names, options.Name, "Names", "Equals", "GetHashCode", "GetType", "ToString", "Finalize", "MemberwiseClone", "ReferenceEquals", "_namespaces");
        var constants = Identifiers.OfAll(
            names, "Names", "Equals", "GetHashCode", "GetType", "ToString", "Finalize", "MemberwiseClone", "ReferenceEquals");

        code.Line($"/// <summary>The KV namespaces that <c>{file}</c> binds. Registered by <c>AddKvBindings</c>.</summary>");
        code.Line("/// <param name=\"namespaces\">Finds a namespace by its name.</param>");
        code.Line("/// <remarks>Safe to use from any number of threads.</remarks>");
        code.Line($"{options.Accessibility} sealed partial class {type}(global::KvStore.IKvNamespaceFactory namespaces)");
        code.Open();
        code.Line("private readonly global::KvStore.IKvNamespaceFactory _namespaces = namespaces;");
        for (var i = 0; i < names.Count; i++)
        {
            code.Line();
            WriteDocs(code, model, names[i]);
            code.Line($"public global::KvStore.IKvNamespace {Identifiers.Escape(properties[i])} => _namespaces.Get(Names.{Identifiers.Escape(constants[i])});");
        }

        code.Line();
        code.Line("/// <summary>The names of the namespaces, for example for <c>[FromKeyedServices]</c>.</summary>");
        code.Line("public static class Names");
        code.Open();
        for (var i = 0; i < names.Count; i++)
        {
            if (i > 0)
            {
                code.Line();
            }

            code.Line($"/// <summary>The name of <see cref=\"{type}.{Identifiers.Escape(properties[i])}\"/>.</summary>");
            code.Line($"public const string {Identifiers.Escape(constants[i])} = {Literals.CSharp(names[i])};");
        }

        code.Close();
        code.Close();
        return code.ToString();
    }

    private static void WriteDocs(CodeWriter code, WranglerModel model, string name)
    {
        code.Line($"/// <summary>The KV namespace <c>{Literals.Xml(name)}</c>.</summary>");
        code.Line("/// <remarks>");
        foreach (var section in model.Sections)
        {
            foreach (var binding in section.Bindings.Where(binding => binding.Name == name))
            {
                var place = string.Format(CultureInfo.InvariantCulture, "line {0}, column {1}", binding.Line, binding.Column);
                var id = binding.Id is null ? "no id" : $"id <c>{Literals.Xml(binding.Id)}</c>";
                var where = section.Environment is { } environment ? $", environment <c>{Literals.Xml(environment)}</c>" : "";
                code.Line($"/// <para>{Literals.Xml(model.FileName)}, {place}{where}: {id}.</para>");
            }
        }

        code.Line("/// </remarks>");
        code.Line("/// <exception cref=\"global::System.ArgumentException\">The environment that was chosen does not bind it.</exception>");
    }
}
