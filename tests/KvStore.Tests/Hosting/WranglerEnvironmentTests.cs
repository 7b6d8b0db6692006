using System.Collections.Concurrent;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace KvStore.Tests.Hosting;

/// <summary>Which bindings count in which environment, in both formats. CLOUDFLARE_ENV belongs to the process, so these run alone.</summary>
[Collection(AloneCollection.Name)]
public sealed class WranglerEnvironmentTests : IDisposable
{
    private const string Variable = "CLOUDFLARE_ENV";

    private const string Json = """
        {
          "kv_namespaces": [{ "binding": "TOP", "id": "1" }, { "binding": "BOTH", "id": "2" }],
          "env": {
            "production": { "kv_namespaces": [{ "binding": "BOTH", "id": "3" }, { "binding": "PRODUCTION" }] },
            "empty": { "kv_namespaces": [] },
          },
        }
        """;

    private const string Toml = """
        [[kv_namespaces]]
        binding = "TOP"
        id = "1"

        [[kv_namespaces]]
        binding = 'BOTH'
        id = "2"

        [env.production]
        kv_namespaces = [
          { binding = "BOTH", id = "3" },
          { binding = "PRODUCTION" },  # the last comma may stand
        ]

        [env.empty]
        kv_namespaces = []
        """;

    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore").FullName;
    private readonly string? _variable = Environment.GetEnvironmentVariable(Variable);

    public WranglerEnvironmentTests() => Environment.SetEnvironmentVariable(Variable, null);

    public void Dispose()
    {
        Environment.SetEnvironmentVariable(Variable, _variable);
        Directory.Delete(_directory, recursive: true);
    }

    [Theory]
    [InlineData("wrangler.jsonc", null, null, "TOP,BOTH")]
    [InlineData("wrangler.jsonc", null, "production", "BOTH,PRODUCTION")]
    [InlineData("wrangler.jsonc", "production", null, "BOTH,PRODUCTION")]
    [InlineData("wrangler.jsonc", "production", "empty", "")]
    [InlineData("wrangler.jsonc", "production", "", "TOP,BOTH")]
    [InlineData("wrangler.jsonc", "", null, "TOP,BOTH")]
    [InlineData("wrangler.toml", null, null, "TOP,BOTH")]
    [InlineData("wrangler.toml", null, "production", "BOTH,PRODUCTION")]
    [InlineData("wrangler.toml", "production", null, "BOTH,PRODUCTION")]
    [InlineData("wrangler.toml", null, "empty", "")]
    public void Environment_binds_what_it_lists_itself(string file, string? variable, string? environment, string names)
    {
        Environment.SetEnvironmentVariable(Variable, variable);

        Names(Add(file, Content(file), environment)).Should().Be(names);
    }

    [Theory]
    [InlineData("wrangler.jsonc")]
    [InlineData("wrangler.toml")]
    public void Environment_that_the_file_lacks_is_refused_with_those_it_has(string file)
    {
        var act = () => Add(file, Content(file), "staging");

        act.Should().Throw<InvalidDataException>().WithMessage("*there is no environment \"staging\"; the file has \"production\", \"empty\".");
    }

    [Fact]
    public void Environments_only_in_the_file_and_none_chosen_is_refused()
    {
        var act = () => Add("wrangler.json", """{ "env": { "a": { "kv_namespaces": [{ "binding": "A" }] }, "b": {}, "c": { "kv_namespaces": [{ "binding": "C" }] } } }""", null);

        act.Should().Throw<InvalidDataException>()
            .WithMessage("*no KV namespace is bound at the top level, only in \"a\", \"c\"; name the environment in the call, or in CLOUDFLARE_ENV.");
    }

    [Theory]
    [InlineData("wrangler.jsonc", """{ "kv_namespaces": [{ "binding": "A" }, { "binding": "B" }], "env": { "staging": { "vars": {} }, "other": { "kv_namespaces": [{ "binding": "O" }] } } }""", "\"kv_namespaces\": []", "(1,82)")]
    [InlineData("wrangler.toml", "kv_namespaces = [{ binding = \"A\" }, { binding = \"B\" }]\n[env.staging]\nworkers_dev = true", "kv_namespaces = []", "(2,")]
    public void Environment_that_binds_nothing_beside_a_top_level_that_does_is_refused(string file, string content, string remedy, string position)
    {
        foreach (var isVariable in new[] { false, true })
        {
            Environment.SetEnvironmentVariable(Variable, isVariable ? "staging" : null);
            var act = () => Add(file, content, isVariable ? null : "staging");

            act.Should().Throw<InvalidDataException>().WithMessage(
                $"*{file}{position}*: the environment \"staging\" binds no KV namespace, and the top level binds \"A\", \"B\". Environments do not inherit \"kv_namespaces\": list there what it needs, or write {remedy} there.");
        }
    }

    [Theory]
    [InlineData("wrangler.jsonc", """{ "kv_namespace": [{ "binding": "A" }] }""")]
    [InlineData("wrangler.toml", "[[kv-namespaces]]\nbinding = \"A\"")]
    public async Task File_that_binds_nothing_at_all_is_a_warning_at_start(string file, string content)
    {
        var log = new Lines();
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { ContentRootPath = _directory });
        builder.Logging.AddProvider(log);
        File.WriteAllText(Path.Combine(_directory, file), content);
        builder.Services.AddKvNamespacesFromWrangler(file);
        using var host = builder.Build();

        await host.StartAsync();
        await host.StopAsync();

        log.Should().ContainSingle(line => line.StartsWith("Warning ") && line.Contains(file) && line.Contains("has no \"kv_namespaces\", so no KV namespace is bound"));
    }

    [Fact]
    public async Task Without_a_host_what_is_not_inherited_is_a_warning_when_a_namespace_is_opened()
    {
        var log = new Lines();
        var services = Add("wrangler.jsonc", Json, "production");
        await using var provider = services.AddLogging(logging => logging.AddProvider(log)).BuildServiceProvider();

        provider.GetRequiredKeyedService<IKvNamespace>("BOTH");
        provider.GetRequiredKeyedService<IKvNamespace>("PRODUCTION");

        log.Should().ContainSingle(line => line.StartsWith("Warning ") && line.Contains("\"TOP\" is bound at the top level, but not in the environment \"production\""));
    }

    [Fact]
    public void File_without_environments_stands_for_each_of_them()
    {
        Names(Add("wrangler.json", """{ "kv_namespaces": [{ "binding": "A" }] }""", "staging")).Should().Be("A");
    }

    [Theory]
    [InlineData(null)]
    [InlineData("staging")]
    public void Null_for_the_environments_is_as_good_as_none(string? environment) =>
        Names(Add("wrangler.json", """{ "kv_namespaces": [{ "binding": "A" }], "env": null }""", environment)).Should().Be("A");

    [Fact]
    public void File_of_Pages_stands_for_the_environments_it_lacks()
    {
        const string Pages = """{ "pages_build_output_dir": "out", "kv_namespaces": [{ "binding": "A" }], "env": { "production": { "kv_namespaces": [{ "binding": "P" }] } } }""";

        Names(Add("wrangler.json", Pages, "preview")).Should().Be("A");
    }

    [Fact]
    public void Name_that_is_bound_twice_in_another_environment_does_not_matter()
    {
        const string Doubled = """{ "kv_namespaces": [{ "binding": "A" }, { "binding": "A" }], "env": { "b": { "kv_namespaces": [{ "binding": "B" }] } } }""";

        Names(Add("wrangler.json", Doubled, "b")).Should().Be("B");
        ((Action)(() => Add("wrangler.json", Doubled, null))).Should().Throw<InvalidDataException>().WithMessage("*(1,54): \"A\" is bound twice*");
    }

    [Theory]
    [InlineData("production", "\"TOP\" is bound at the top level, but not in the environment \"production\"")]
    public async Task Binding_of_the_top_level_that_is_not_inherited_is_a_warning_at_start(string environment, string warning)
    {
        var log = new Lines();
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { ContentRootPath = _directory });
        builder.Logging.AddProvider(log);
        File.WriteAllText(Path.Combine(_directory, "wrangler.jsonc"), Json);
        builder.Services.AddKvNamespacesFromWrangler("wrangler.jsonc", environment: environment);
        using var host = builder.Build();

        await host.StartAsync();
        await host.StopAsync();

        log.Should().ContainSingle(line => line.StartsWith("Warning ") && line.Contains(warning));
    }

    [Theory]
    [InlineData("utf-16")]
    [InlineData("utf-16BE")]
    [InlineData("utf-32")]
    [InlineData("utf-32BE")]
    public void Encoding_other_than_UTF8_is_named(string encoding)
    {
        var path = Path.Combine(_directory, "wrangler.jsonc");
        File.WriteAllText(path, Json, Encoding.GetEncoding(encoding));

        var act = () => new ServiceCollection().AddKvNamespacesFromWrangler(path);

        act.Should().Throw<InvalidDataException>().WithMessage($"*(1,1): the file is {encoding[..6].ToUpperInvariant()}; Wrangler files are UTF-8*");
    }

    [Theory]
    [InlineData("wrangler.jsonc", "// \u2028 and \u2029\n{ \"kv_namespaces\": [{ \"binding\": \"A\" }] /* \u2028 */ }")]
    [InlineData("wrangler.toml", "# \u2028 and \u2029\nkv_namespaces = [{ binding = \"A\" }]")]
    public void Line_separators_of_Unicode_may_stand_in_comments(string file, string content)
    {
        Names(Add(file, content, null)).Should().Be("A");
        Names(Add(file, "\uFEFF" + content, null)).Should().Be("A");
    }

    [Fact]
    public void Property_that_is_given_twice_counts_the_second_time()
    {
        const string Twice = """
            { "kv_namespaces": [{ "binding": "A" }],
              "env": { "x": { "kv_namespaces": [{ "binding": "X" }] } },
              "kv_namespaces": [{ "binding": "B", "binding": "C" }],
              "env": { "y": { "kv_namespaces": [{ "binding": "Y" }] } } }
            """;

        Names(Add("wrangler.json", Twice, null)).Should().Be("C");
        Names(Add("wrangler.json", Twice, "y")).Should().Be("Y");
        ((Action)(() => Add("wrangler.json", Twice, "x"))).Should().Throw<InvalidDataException>();
    }

    [Theory]
    [InlineData("kv_namespaces = [{ binding = \"A\" ]", "not TOML: ")]
    [InlineData("[vars]\ntoken = s3cret\n", "(2,")]
    [InlineData("a = 1\na = 2\n", "(2,1): not TOML: ")]
    [InlineData("kv_namespaces = [ { binding = \"A\",\n id = \"1\" } ]", "(2,2): not TOML: an inline table stands on one line")]
    [InlineData("kv_namespaces = [ { binding = \"A\", } ]", "(1,34): not TOML: an inline table has no comma behind its last value")]
    [InlineData("kv_namespaces = [ { binding = \"A\\e\" } ]", "(1,33): not TOML: an escape is one of")]
    [InlineData("[[kv_namespaces]]\nid = \"1\"", "(1,3): an entry of \"kv_namespaces\" has no \"binding\"")]
    [InlineData("[kv_namespaces]\nbinding = \"A\"", "(1,2): \"kv_namespaces\" must be an array of objects")]
    public void Wrong_TOML_is_reported_with_its_position_and_not_quoted(string toml, string message)
    {
        var act = () => Add("wrangler.toml", toml, null);

        act.Should().Throw<InvalidDataException>().WithMessage($"*{message}*").And.Message.Should().NotContain("s3cret");
    }

    private static string Content(string file) => file.EndsWith(".toml", StringComparison.Ordinal) ? Toml : Json;

    private static string Names(IServiceCollection services) =>
        string.Join(',', services.Where(service => service.IsKeyedService && service.ServiceType == typeof(IKvNamespace)).Select(service => service.ServiceKey));

    private ServiceCollection Add(string file, string content, string? environment)
    {
        var path = Path.Combine(_directory, file);
        File.WriteAllText(path, content);
        var services = new ServiceCollection();
        services.AddKvNamespacesFromWrangler(path, environment: environment);
        return services;
    }

    private sealed class Lines : ConcurrentQueue<string>, ILoggerProvider, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public void Dispose()
        {
        }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Enqueue($"{logLevel} {formatter(state, exception)}");
    }
}
