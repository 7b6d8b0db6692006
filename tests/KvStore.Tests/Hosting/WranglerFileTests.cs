using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace KvStore.Tests.Hosting;

public sealed class WranglerFileTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Each_binding_is_registered_under_its_name()
    {
        var path = Write("""
            // The name is of no concern here.
            {
              "name": "site", /* nor is this */
              "vars": { "kv_namespaces": [ { "nothing": 1 } ] },
              "kv_namespaces": [
                { "binding": "CACHE_KV", "id": "1234567890", "preview_id": "x" },
                { "id": "2", "binding": "FLAGS_KV", },
              ],
            }
            """);

        await using var provider = new ServiceCollection().AddKvNamespacesFromWrangler(path).BuildServiceProvider();

        provider.GetRequiredService<IKvNamespaceFactory>().Names.Should().Equal("CACHE_KV", "FLAGS_KV");
        provider.GetRequiredKeyedService<IKvNamespace>("FLAGS_KV").Name.Should().Be("FLAGS_KV");
        provider.GetRequiredService<IKvNamespace>().Name.Should().Be("CACHE_KV");
    }

    [Fact]
    public void A_file_that_begins_with_a_byte_order_mark_is_read()
    {
        var path = Write("\uFEFF{\"kv_namespaces\":[{\"binding\":\"KV\"}]}");

        var services = new ServiceCollection().AddKvNamespacesFromWrangler(path);

        services.Should().Contain(service => Equals(service.ServiceKey, "KV"));
    }

    [Fact]
    public void Toml_file_with_bytes_that_are_not_UTF8_is_read_as_wrangler_reads_it()
    {
        // In Latin-1 the bytes of the comment are "é"; a stand-in that the file has already must not be confused with it.
        var path = Path.Combine(_directory, "wrangler.toml");
        byte[] latin1 = [0xE9];
        File.WriteAllBytes(
            path,
            [.. "# caf"u8, .. latin1, .. "\nname = \"\uE000"u8, .. latin1, .. "\"\nkv_namespaces = [{ binding = \"A\uE000\uFFFD\" }]\n[env.x]\n\"\uFFFD\" = 1\nkv_namespaces = [{ binding = \"X\" }]\n"u8]);

        Names(new ServiceCollection().AddKvNamespacesFromWrangler(path)).Should().Equal("A\uE000\uFFFD");
        Names(new ServiceCollection().AddKvNamespacesFromWrangler(path, environment: "x")).Should().Equal("X");
    }

    [Fact]
    public void Error_behind_bytes_that_are_not_UTF8_has_its_position()
    {
        var path = Path.Combine(_directory, "wrangler.toml");
        File.WriteAllBytes(path, [.. "# "u8, 0xE9, .. "\nname = caf"u8, 0xE9]);

        var act = () => new ServiceCollection().AddKvNamespacesFromWrangler(path);

        act.Should().Throw<InvalidDataException>().WithMessage("*wrangler.toml(2,*not TOML*");
    }

    [Fact]
    public void A_file_without_namespaces_registers_none()
    {
        var services = new ServiceCollection().AddKvNamespacesFromWrangler(Write("{}"));

        services.Should().NotContain(service => service.IsKeyedService);
    }

    [Fact]
    public void A_missing_file_is_named_with_its_whole_path()
    {
        var path = Path.Combine(_directory, "missing.jsonc");

        var act = () => new ServiceCollection().AddKvNamespacesFromWrangler(path);

        act.Should().Throw<FileNotFoundException>().WithMessage($"*{path}*");
    }

    [Theory]
    [InlineData("{\n  \"kv_namespaces\": [\n    { \"id\": \"1\" }\n  ]\n}", "(3,5): an entry of \"kv_namespaces\" has no \"binding\".")]
    [InlineData("{\n  \"kv_namespaces\": {}\n}", "(2,20): \"kv_namespaces\" must be an array of objects.")]
    [InlineData("{ \"kv_namespaces\": [ 1 ] }", "(1,22): an entry of \"kv_namespaces\" must be an object.")]
    [InlineData("{ \"kv_namespaces\": [ { \"binding\": 7 } ] }", "(1,35): \"binding\" must be a text.")]
    [InlineData("[]", "(1,1): the file must hold one object.")]
    [InlineData("{\n  \"kv_namespaces\": [\n", "(3,1): not JSON*")]
    [InlineData("", "(1,1): not JSON*")]
    [InlineData("{} x", "(1,4): not JSON*")]
    [InlineData("{ \"kv_namespaces\": [ { \"binding\": \"A\" },\n{ \"binding\": \"A\" } ] }", "(2,14): \"A\" is bound twice; each name can be bound once.")]
    [InlineData("{ \"kv_namespaces\": [ { \"binding\": \"A\", \"id\": null } ] }", "(1,46): the \"id\" of \"A\" must be a text that is not empty.")]
    [InlineData("{ \"kv_namespaces\": [ { \"binding\": \"A\", \"id\": \"\" } ] }", "(1,46): the \"id\" of \"A\" must be a text that is not empty.")]
    [InlineData("{ \"kv_namespaces\": [ { \"binding\": \"A\", \"preview_id\": 1 } ] }", "(1,54): the \"preview_id\" of \"A\" must be a text.")]
    [InlineData("{ \"kv_namespaces\": [ { \"binding\": \"A\", \"remote\": 1 } ] }", "(1,50): \"remote\" of \"A\" must be true or false.")]
    [InlineData("{ \"kv_namespaces\": null }", "(1,20): \"kv_namespaces\" must be an array of objects.")]
    [InlineData("{ \"env\": [] }", "(1,10): \"env\" must be an object with an object for each environment.")]
    [InlineData("{ \"x\": \"é😀\", \"y\": nul }", "(1,20): not JSON: a value is expected.")]
    [InlineData("{ \"kv_namespaces\": [ { \"binding\": \"\\ud800\" } ] }", "(1,35): \"binding\" holds what is not Unicode.")]
    [InlineData("{ \"kv_namespaces\": [ { \"binding\": \"\" } ] }", "(1,35): *empty*")]
    [InlineData("{ \"kv_namespaces\": [ { \"\\ud800ding\": \"A\" } ] }", "(1,22): an entry of \"kv_namespaces\" has no \"binding\".")]
    public void Error_in_a_wrangler_file_is_reported_with_its_position(string json, string message)
    {
        var path = Write(json);

        var act = () => new ServiceCollection().AddKvNamespacesFromWrangler(path);

        act.Should().Throw<InvalidDataException>().WithMessage($"{path}{message}");
    }

    [Fact]
    public void A_file_that_is_wrong_registers_nothing()
    {
        var path = Write("""{ "kv_namespaces": [ { "binding": "A" }, { "binding": "B" }, { "binding": "A" } ] }""");
        var services = new ServiceCollection();

        var act = () => services.AddKvNamespacesFromWrangler(path);

        act.Should().Throw<InvalidDataException>();
        services.Should().BeEmpty();
    }

    [Fact]
    public void Binding_registered_in_code_too_is_reported_with_its_position()
    {
        var path = Write("""{ "kv_namespaces": [ { "binding": "A" } ] }""");
        var services = new ServiceCollection().AddKvNamespace("A");

        var act = () => services.AddKvNamespacesFromWrangler(path);

        act.Should().Throw<InvalidDataException>().WithMessage($"{path}(1,35): *\"A\" is registered already*");
    }

    [Fact]
    public void A_relative_path_starts_at_the_content_root()
    {
        Write("""{ "kv_namespaces": [ { "binding": "A" } ] }""");
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { ContentRootPath = _directory });

        builder.Services.AddKvNamespacesFromWrangler("wrangler.jsonc");

        builder.Services.Should().Contain(service => Equals(service.ServiceKey, "A"));
    }

    private static IEnumerable<object?> Names(IServiceCollection services) =>
        services.Where(static service => service.IsKeyedService && service.ServiceType == typeof(IKvNamespace)).Select(static service => service.ServiceKey);

    private string Write(string json)
    {
        var path = Path.Combine(_directory, "wrangler.jsonc");
        File.WriteAllText(path, json);
        return path;
    }
}
