namespace KvStore.EditorTests;

/// <summary>Completion, descriptions and navigation in an editor, for members that the generator makes.</summary>
public sealed class GeneratedMembersTests
{
    private const string Wrangler = """
        {
          "kv_namespaces": [
            { "binding": "FLAGS", "id": "f1a65" },
            { "binding": "CACHE_KV", "id": "cac4e" },
          ],
        }
        """;

    private const string Interface = """
        using System.Text.Json.Serialization;
        using System.Threading.Tasks;
        using KvStore;

        public sealed record Flag(bool IsOn);

        [JsonSerializable(typeof(Flag))]
        public sealed partial class AppJson : JsonSerializerContext;

        [KvNamespace("FLAGS", JsonContext = typeof(AppJson))]
        public partial interface IFlags
        {
            /// <summary>One flag of a tenant.</summary>
            [KvKey("flag:{tenant}:{name}", TtlSeconds = 3600)]
            KvTypedEntry<Flag, KvMetadata> Flag(string tenant, string name);

            /// <summary>All flags of a tenant.</summary>
            KvTypedEntries<Flag, KvMetadata> Flags(string tenant);
        }

        """;

    [Fact]
    public async Task After_the_bindings_and_a_dot_the_namespaces_are_offered()
    {
        using var editor = new Editor(Wrangler, "class P { object M(Edited.KvBindings kv) => kv.$$; }");

        (await editor.CompleteAsync()).Should().Contain(["FLAGS", "CACHE_KV"]);
    }

    [Fact]
    public async Task Offered_namespace_says_its_id_and_where_it_is_bound()
    {
        using var editor = new Editor(Wrangler, "class P { object M(Edited.KvBindings kv) => kv.$$; }");

        var description = await editor.DescribeAsync("CACHE_KV");

        description.Should().Contain("IKvNamespace").And.Contain("The KV namespace CACHE_KV");
    }

    [Fact]
    public async Task Names_are_offered_where_a_constant_is_needed()
    {
        using var editor = new Editor(Wrangler, "class P { const string N = Edited.KvBindings.Names.$$; }");

        (await editor.CompleteAsync()).Should().Contain(["FLAGS", "CACHE_KV"]);
    }

    [Fact]
    public async Task Definition_of_a_namespace_is_its_generated_property()
    {
        using var editor = new Editor(Wrangler, "class P { object M(Edited.KvBindings kv) => kv.CACHE_$$KV; }");

        var (file, line) = await editor.GoToDefinitionAsync();

        file.Should().Be("KvBindings.g.cs");
        line.Should().Be("public global::KvStore.IKvNamespace CACHE_KV => _namespaces.Get(Names.CACHE_KV);");
    }

    [Fact]
    public async Task Registration_is_offered_on_a_service_collection()
    {
        using var editor = new Editor(Wrangler, """
            using Microsoft.Extensions.DependencyInjection;
            class P { void M(IServiceCollection services) => services.$$ }
            """);

        (await editor.CompleteAsync()).Should().Contain("AddKvBindings");
        (await editor.DescribeAsync("AddKvBindings")).Should().Contain("wrangler.jsonc");
    }

    [Fact]
    public async Task Typed_namespace_offers_its_entries_and_what_they_can_do()
    {
        using var members = new Editor(Wrangler, Interface + "class P { object M(IFlags flags) => flags.$$; }");
        using var operations = new Editor(Wrangler, Interface + "class P { object M(IFlags flags) => flags.Flag(\"t\", \"n\").$$; }");
        using var statics = new Editor(Wrangler, Interface + "class P { object M() => IFlags.$$; }");

        (await members.CompleteAsync()).Should().Contain(["Flag", "Flags"]);
        (await members.DescribeAsync("Flag")).Should().Contain("One flag of a tenant.");
        (await operations.CompleteAsync()).Should().Contain(["GetAsync", "PutAsync", "DeleteAsync"]);
        (await statics.CompleteAsync()).Should().Contain(["Create", "FlagKey", "TryParseFlagKey"]);
        (await statics.DescribeAsync("FlagKey")).Should().Contain("The key of flag:{tenant}:{name}.");
    }

    [Fact]
    public async Task Definition_and_implementation_of_a_typed_namespace_are_found()
    {
        using var key = new Editor(Wrangler, Interface + "class P { object M() => IFlags.Flag$$Key(\"t\", \"n\"); }");
        using var entry = new Editor(Wrangler, Interface + "class P { object M(IFlags flags) => flags.Fla$$g(\"t\", \"n\"); }");
        using var type = new Editor(Wrangler, Interface + "class P { object M(IFl$$ags flags) => flags; }");

        (await key.GoToDefinitionAsync()).File.Should().Be("IFlags.g.cs");
        (await entry.GoToDefinitionAsync()).Should().Be(("Program.cs", "KvTypedEntry<Flag, KvMetadata> Flag(string tenant, string name);"));
        (await type.FindImplementationsAsync()).Should().Equal("IFlags.g.cs");
    }

    [Theory]
    [InlineData("class P { object M(Edited.KvBindings kv) => kv.$$")]
    [InlineData("[KvStore.KvNamespace(\"FLAGS\")] public partial interface I { [KvStore.KvKey(\"a:{\")] KvStore.KvTypedEntry<string, KvStore.KvMetadata> A(string $$")]
    [InlineData("class P { void M(Edited.KvBindings kv) { kv.$$ } } [KvStore.KvNamespace(] partial interface I")]
    public async Task Half_written_code_does_not_stop_the_generator(string source)
    {
        using var editor = new Editor(Wrangler, source);

        _ = await editor.CompleteAsync();

        (await editor.ProblemsAsync()).Should().NotContain(problem => problem.Contains("CS8785", StringComparison.Ordinal), "that says that a generator has failed");
    }

    [Fact]
    public async Task Whole_code_has_no_problem()
    {
        using var editor = new Editor(Wrangler, Interface + "class P { object M(Edited.KvBindings kv) => IFlags.Create(kv.FLAGS).Flag(\"t\", \"n\"); }");

        // The serializer's own generator does not run here.
        (await editor.ProblemsAsync()).Should().OnlyContain(problem => problem.Contains("AppJson", StringComparison.Ordinal) || problem.Contains("JsonSerializerContext", StringComparison.Ordinal));
    }
}
