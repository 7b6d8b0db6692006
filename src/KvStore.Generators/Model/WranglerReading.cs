using System.Text;
using KvStore.Wrangler;
using Microsoft.CodeAnalysis;

namespace KvStore.Generators.Model;

/// <summary>The model of one file, null when the file cannot be used, and what there is to report.</summary>
internal sealed record WranglerReading(string Path, WranglerModel? Model, EquatableArray<Finding> Findings)
{
    // As wrangler looks for them.
    private static readonly string[] s_names = ["wrangler.json", "wrangler.jsonc", "wrangler.toml"];

    /// <summary>Where a file stands in the order in which wrangler looks for one; -1 when it is none.</summary>
    public static int RankOf(string path) => Array.FindIndex(s_names, name => name.Equals(System.IO.Path.GetFileName(path), StringComparison.OrdinalIgnoreCase));

    /// <summary>Reads a file.</summary>
    public static WranglerReading Read(AdditionalText file, CancellationToken cancellationToken)
    {
        var text = file.GetText(cancellationToken);
        if (text is null || text.Encoding is UnicodeEncoding or UTF32Encoding)
        {
            return new(file.Path, null, new([Finding.Of(KvRules.BrokenFile, FileSpan.Of(file.Path, new(0, 0, 1, 1)), text is null ? "the file cannot be read" : "the file must be UTF-8")]));
        }

        var config = WranglerConfig.Parse(text.ToString(), WranglerConfig.IsToml(file.Path));
        WranglerSection[] sections = [config.TopLevel, .. config.Environments];
        List<Finding> findings = [.. sections.SelectMany(static section => section.Problems).Select(problem => Finding.Of(RuleOf(problem.Kind), FileSpan.Of(file.Path, problem.Position), problem.Message))];
        if (findings.Count == 0)
        {
            findings.AddRange(Differences(file.Path, config));
        }

        var isUsable = !sections.Any(static section => section.Problems.Any(static problem => problem.Kind == WranglerProblemKind.Broken));
        var model = isUsable ? ModelOf(file.Path, config, sections) : null;
        return new(file.Path, model, new(findings));
    }

    private static WranglerModel ModelOf(string path, WranglerConfig config, WranglerSection[] sections) => new(
        System.IO.Path.GetFileName(path),
        new(sections.Select(static section => new SectionModel(
            section.Environment,
            section.DeclaresNamespaces,
            new(section.Bindings.Select(static binding => new BindingModel(binding.Name, binding.Id, binding.Position.Line, binding.Position.Column)))))),
        config.HasEnvironments,
        config.IsPages);

    // An environment without kv_namespaces binds nothing: that is a difference too. A top level without them is where somebody
    // keeps everything in environments.
    private static IEnumerable<Finding> Differences(string path, WranglerConfig config)
    {
        List<WranglerSection> compared = [.. config.Environments];
        if (config.TopLevel.DeclaresNamespaces)
        {
            compared.Insert(0, config.TopLevel);
        }

        foreach (var section in compared)
        {
            var missing = compared.SelectMany(static other => other.Bindings).Select(static binding => binding.Name).Distinct()
                .Where(name => !section.Bindings.Any(binding => binding.Name == name)).ToList();
            if (missing.Count > 0)
            {
                var where = section.Environment is { } environment ? $"the environment \"{environment}\"" : "the top level";
                yield return Finding.Of(KvRules.EnvironmentsDiffer, FileSpan.Of(path, section.Position), where, string.Join(", ", missing));
            }
        }
    }

    private static DiagnosticDescriptor RuleOf(WranglerProblemKind kind) => kind switch
    {
        WranglerProblemKind.MissingBinding => KvRules.MissingBinding,
        WranglerProblemKind.DoubledBinding => KvRules.DoubledBinding,
        _ => KvRules.BrokenFile,
    };
}
