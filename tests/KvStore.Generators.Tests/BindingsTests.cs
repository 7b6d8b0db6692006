using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace KvStore.Generators.Tests;

/// <summary>What the generator has made of the Wrangler file beside this project, at work.</summary>
public sealed class BindingsTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("kvstore-bindings-").FullName;

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public async Task Bindings_are_registered_without_a_file_at_run_time()
    {
        await using var provider = new ServiceCollection().AddKvBindings(environment: "").BuildServiceProvider();

        var bindings = provider.GetRequiredService<KvBindings>();
        bindings.CACHE_KV.Name.Should().Be("CACHE_KV");
        bindings.FLAGS.Should().BeSameAs(provider.GetRequiredKeyedService<IKvNamespace>(KvBindings.Names.FLAGS));
        provider.GetRequiredService<IKvNamespaceFactory>().Names.Should().Equal("FLAGS", "CACHE_KV");
        await provider.GetRequiredService<IFlags>().Motd().PutAsync("hi");
        (await bindings.FLAGS.GetTextAsync("motd")).Should().Be("hi");
    }

    [Fact]
    public async Task Each_namespace_is_configured_as_the_caller_says()
    {
        List<string> names = [];

        await using var provider = new ServiceCollection().AddKvBindings("production", kv => names.Add(kv.Name)).BuildServiceProvider();

        names.Should().Equal("FLAGS", "CACHE_KV");
    }

    [Theory]
    [InlineData("")]
    [InlineData("production")]
    public void Same_file_at_run_time_is_accepted_wherever_its_lines_are(string environment)
    {
        Write(File.ReadAllText(Path.Combine(SourceTree.Root, "tests", "KvStore.Generators.Tests", "wrangler.jsonc")).Replace("\n", "\n\n") + "// more");

        Services(environment).Should().Contain(service => Equals(service.ServiceKey, "FLAGS"));
    }

    [Theory]
    [InlineData("", """{ "kv_namespaces": [{ "binding": "FLAGS", "id": "f1a65" }] }""", "the top level differs from what was compiled into this application: \"CACHE_KV\" is gone.")]
    [InlineData("", """{ "kv_namespaces": [{ "binding": "FLAGS", "id": "f1a65" }, { "binding": "CACHE_KV", "id": "cac4e" }, { "binding": "NEW" }] }""", "\"NEW\" is new.")]
    [InlineData("", """{ "kv_namespaces": [{ "binding": "FLAGS", "id": "0" }, { "binding": "CACHE_KV", "id": "cac4e" }] }""", "\"FLAGS\" has another id.")]
    [InlineData("production", """{ "env": { "production": { "kv_namespaces": [{ "binding": "FLAGS", "id": "f1a65-production" }] } } }""", "the environment \"production\" differs from what was compiled into this application: \"CACHE_KV\" is gone.")]
    [InlineData("staging", """{ "env": { "staging": { "kv_namespaces": [{ "binding": "FLAGS" }] } } }""", "the environment \"staging\" differs from what was compiled into this application: the environment is new.")]
    public void Other_file_at_run_time_stops_the_start_and_says_what_differs(string environment, string json, string message)
    {
        Write(json);

        var act = () => Services(environment);

        act.Should().Throw<InvalidDataException>().WithMessage($"{Path.Combine(_root, "wrangler.jsonc")}: *{message}* Build the application again, or restore the file.");
    }

    [Fact]
    public void File_that_the_caller_names_must_be_there()
    {
        var services = new ServiceCollection();

        var act = () => services.AddKvBindings(path: Path.Combine(_root, "missing.jsonc"));

        act.Should().Throw<FileNotFoundException>();
        services.Should().BeEmpty();
    }

    [Fact]
    public async Task File_that_binds_nothing_registers_bindings_that_say_so()
    {
        var services = new ServiceCollection();
        KvCompiledBindings.Register(services, "wrangler.jsonc", """{ "kv_namespaces": [] }""", environment: "", configure: null, path: null);

        await using var provider = services.BuildServiceProvider();
        var bindings = new KvBindings(provider.GetRequiredService<IKvNamespaceFactory>());

        bindings.Invoking(kv => kv.FLAGS).Should().Throw<ArgumentException>().WithMessage("*FLAGS*");
    }

    [Fact]
    public void Error_in_compiled_bindings_names_no_position_in_the_file()
    {
        var compiled = """{ "kv_namespaces": [{ "binding": "A" }], "env": { "bad": { "name": "x" } } }""";

        var act = () => KvCompiledBindings.Register(new ServiceCollection(), "wrangler.jsonc", compiled, "bad", configure: null, path: null);

        act.Should().Throw<InvalidDataException>().WithMessage("wrangler.jsonc: the environment \"bad\" binds no KV namespace*");
    }

    [Fact]
    public void Environment_that_was_not_compiled_is_refused_with_those_that_were()
    {
        var act = () => new ServiceCollection().AddKvBindings("staging");

        act.Should().Throw<InvalidDataException>().WithMessage("wrangler.jsonc: there is no environment \"staging\"; the file has \"production\".");
    }

    private IServiceCollection Services(string environment)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { ContentRootPath = _root });
        return builder.Services.AddKvBindings(environment);
    }

    private void Write(string json) => File.WriteAllText(Path.Combine(_root, "wrangler.jsonc"), json);
}
