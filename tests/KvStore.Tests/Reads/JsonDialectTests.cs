using System.Text.Json;
using System.Text.Json.Serialization;

namespace KvStore.Tests.Reads;

/// <summary>What reflection writes, generated code reads, and the other way around, whatever the case of names.</summary>
public sealed class JsonDialectTests : IAsyncLifetime
{
    private static readonly Person s_person = new("Ada", 36, new Address { StreetName = "Mühlweg", HouseNumber = 7 }, Colour.Green, null, [Colour.Blue])
    {
        Nickname = "a",
    };

    private readonly KvNamespace _kv = KvNamespace.Create("KV");

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await _kv.DisposeAsync();

    [Fact]
    public async Task Generated_code_reads_what_reflection_wrote()
    {
        await _kv.PutJsonAsync("k", s_person);

        await ReadsWith(PascalJson.Default);
        await ReadsWith(NamedJson.Default);
    }

    [Fact]
    public async Task Reflection_reads_what_generated_code_wrote()
    {
        foreach (var context in new JsonSerializerContext[] { PascalJson.Default, NamedJson.Default, CamelJson.Default })
        {
            await _kv.PutJsonAsync("k", s_person, TypeInfo(context));

            ShouldBe(await _kv.GetJsonAsync<Person>("k"));
            ShouldBe((await _kv.GetJsonAsync<Person>(["k"]))["k"]);
            ShouldBe((await _kv.GetAsync("k")).GetJson<Person>());
            ShouldBe((await _kv.GetAsync("k")).GetJson<Person>(NamedJson.Default.Options));
        }
    }

    [Fact]
    public async Task Generated_code_reads_what_other_generated_code_wrote()
    {
        await _kv.PutJsonAsync("k", s_person, CamelJson.Default.Person);
        await ReadsWith(PascalJson.Default);
        await _kv.PutJsonAsync("k", s_person, PascalJson.Default.Person);
        await ReadsWith(CamelJson.Default);
    }

    [Fact]
    public async Task Options_of_a_caller_read_what_the_defaults_wrote()
    {
        await _kv.PutJsonAsync("k", s_person);

        ShouldBe((await _kv.GetAsync("k")).GetJson<Person>(new JsonSerializerOptions()));
    }

    [Fact]
    public async Task Metadata_is_read_whatever_the_case_of_its_names()
    {
        await _kv.PutAsync("k", "v", new KvPutOptions { Metadata = KvMetadata.From(s_person) });
        ShouldBe((await _kv.GetAsync("k")).Metadata.As(PascalJson.Default.Person));

        await _kv.PutAsync("k", "v", new KvPutOptions { Metadata = KvMetadata.From(s_person, NamedJson.Default.Person) });
        ShouldBe((await _kv.GetAsync("k")).Metadata.As<Person>());
    }

    [Fact]
    public async Task Names_that_differ_only_in_case_stay_apart()
    {
        await _kv.PutAsync("k", """{"Name":"upper","name":"lower"}""");

        for (var i = 0; i < 2; i++)
        {
            var read = await _kv.GetJsonAsync("k", PascalJson.Default.Twins);
            (read!.Name, read.name).Should().Be(("upper", "lower"));
        }
    }

    [Fact]
    public async Task Nullables_and_records_of_nulls_are_read_by_both()
    {
        await _kv.PutJsonAsync("k", new Maybe(null, null, null));
        (await _kv.GetJsonAsync("k", PascalJson.Default.Maybe)).Should().Be(new Maybe(null, null, null));
        await _kv.PutJsonAsync("k", new Maybe(0, false, Colour.Red), PascalJson.Default.Maybe);
        (await _kv.GetJsonAsync<Maybe>("k")).Should().Be(new Maybe(0, false, Colour.Red));
        await _kv.PutJsonAsync("k", new Maybe(0, false, Colour.Red));
        (await _kv.GetJsonAsync("k", NamedJson.Default.Maybe)).Should().Be(new Maybe(0, false, Colour.Red));
    }

    [Fact]
    public async Task Enum_is_written_as_a_number_unless_its_type_says_otherwise()
    {
        await _kv.PutJsonAsync("k", new Dictionary<string, object> { ["a"] = Colour.Green, ["b"] = Named.Second, ["c"] = (ulong)Huge.Last, ["d"] = Huge.Last });

        (await _kv.GetTextAsync("k")).Should().Be("""{"a":1,"b":"Second","c":18446744073709551615,"d":18446744073709551615}""");
    }

    private async Task ReadsWith(JsonSerializerContext context)
    {
        var info = TypeInfo(context);
        ShouldBe(await _kv.GetJsonAsync("k", info));
        ShouldBe((await _kv.GetJsonAsync(["k"], info))["k"]);
        ShouldBe((await _kv.GetAsync("k")).GetJson(info));
    }

    private static System.Text.Json.Serialization.Metadata.JsonTypeInfo<Person> TypeInfo(JsonSerializerContext context) =>
        (System.Text.Json.Serialization.Metadata.JsonTypeInfo<Person>)context.GetTypeInfo(typeof(Person))!;

    private static void ShouldBe(Person? person) => person.Should().BeEquivalentTo(s_person);
}

internal enum Colour
{
    Red,
    Green,
    Blue,
}

internal enum Huge : ulong
{
    Last = ulong.MaxValue,
}

[JsonConverter(typeof(JsonStringEnumConverter<Named>))]
internal enum Named
{
    First,
    Second,
}

internal sealed record Person(string FirstName, int Age, Address HomeAddress, Colour EyeColour, int? ShoeSize, IReadOnlyList<Colour> OtherColours)
{
    public string? Nickname { get; init; }
}

internal sealed class Address
{
    public string StreetName { get; set; } = "";

    public int HouseNumber { get; set; }
}

internal sealed record Maybe(int? Number, bool? Flag, Colour? Colour);

internal sealed class Twins
{
    public string? Name { get; set; }

#pragma warning disable IDE1006 // The point of the type.
    public string? name { get; set; }
#pragma warning restore IDE1006
}

[JsonSerializable(typeof(Person))]
[JsonSerializable(typeof(Maybe))]
[JsonSerializable(typeof(Twins))]
internal sealed partial class PascalJson : JsonSerializerContext;

[JsonSourceGenerationOptions(UseStringEnumConverter = true)]
[JsonSerializable(typeof(Person))]
[JsonSerializable(typeof(Maybe))]
internal sealed partial class NamedJson : JsonSerializerContext;

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(Person))]
internal sealed partial class CamelJson : JsonSerializerContext;
