using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace KvStore.Tests.Reads;

/// <summary>Every naming policy reads what every other one wrote: by reflection and by generated code.</summary>
public sealed class JsonNamingTests : IAsyncLifetime
{
    private static readonly Order s_order = new(
        7,
        new Buyer { FirstName = "Ada", IsOldCustomer = true, HomeTown = null },
        [new OrderLine { ProductCode = "a-b_c", UnitPrice = -1.5m, State = LineState.SentBack }],
        new Dictionary<string, OrderLine> { ["first-key_x"] = new() { ProductCode = "x", UnitPrice = 2 } },
        new Spot(1, -2),
        LineState.InStock)
    {
        DeliveryNote = "leave-it at the back_door",
        ExternalId = Guid.Parse("0f8fad5b-d9cb-469f-a165-70867728950e"),
    };

    private readonly KvNamespace _kv = KvNamespace.Create("KV");

    public static TheoryData<string, string> Pairs()
    {
        TheoryData<string, string> pairs = [];
        foreach (var writer in Forms.Keys)
        {
            foreach (var reader in Forms.Keys)
            {
                pairs.Add(writer, reader);
            }
        }

        return pairs;
    }

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await _kv.DisposeAsync();

    [Theory]
    [MemberData(nameof(Pairs))]
    public async Task Each_naming_policy_is_read_by_each_other(string writer, string reader)
    {
        await Forms[writer].Put(_kv, "k", s_order);

        for (var i = 0; i < 2; i++)
        {
            (await Forms[reader].Get(_kv, "k")).Should().BeEquivalentTo(s_order);
        }
    }

    [Fact]
    public async Task Metadata_and_many_keys_are_read_in_any_naming_policy()
    {
        await _kv.PutJsonAsync("k", s_order, SnakeJson.Default.Order, new KvPutOptions { Metadata = KvMetadata.From(s_order.Buyer, SnakeJson.Default.Buyer) });

        (await _kv.GetJsonAsync<Order>(["k"]))["k"].Should().BeEquivalentTo(s_order);
        (await _kv.GetJsonAsync(["k"], PlainJson.Default.Order))["k"].Should().BeEquivalentTo(s_order);
        (await _kv.GetAsync("k")).Metadata.As<Buyer>().Should().BeEquivalentTo(s_order.Buyer);
        (await _kv.GetAsync("k")).Metadata.As(PlainJson.Default.Buyer).Should().BeEquivalentTo(s_order.Buyer);
    }

    [Fact]
    public async Task Explicit_names_are_read_in_any_naming_policy_too()
    {
        await _kv.PutAsync("k", """{"userid":1,"EMAIL-ADDRESS":"a@b","nick_name":"n"}""");

        var read = await _kv.GetJsonAsync("k", PlainJson.Default.Account);
        (read!.Id, read.Mail, read.NickName).Should().Be((1, "a@b", "n"));
    }

    [Theory]
    [InlineData("{\"first\\u005fname\":\"Ada\"}")]
    [InlineData("{\"first\\u002Dname\":\"Ada\"}")]
    [InlineData("{\"first_name\"\r\n\t:\"Ada\"}")]
    [InlineData("{\"home\":\"a \\\"b\",\"first_name\" : \"Ada\"}")]
    [InlineData("{\"home\":-1,\"first_name\":\"Ada\"}")]
    [InlineData("{\"_firstName\":\"Ada\"}")]
    [InlineData("{\"first__name_\":\"Ada\"}")]
    public async Task Separators_are_found_however_the_text_is_written(string json)
    {
        await _kv.PutAsync("k", json);

        (await _kv.GetJsonAsync<Buyer>("k"))!.FirstName.Should().Be("Ada");
        (await _kv.GetJsonAsync("k", PlainJson.Default.Buyer))!.FirstName.Should().Be("Ada");
    }

    [Fact]
    public async Task Exact_name_wins_over_one_that_is_alike_in_any_order()
    {
        foreach (var json in new[] { """{"first_name":"like","firstName":"exact"}""", """{"firstName":"exact","first_name":"like"}""" })
        {
            await _kv.PutAsync("k", json);

            (await _kv.GetJsonAsync<Buyer>("k"))!.FirstName.Should().Be("exact");
            (await _kv.GetJsonAsync("k", PlainJson.Default.Buyer))!.FirstName.Should().Be("exact");
        }
    }

    [Fact]
    public async Task Properties_that_differ_only_in_separators_stay_apart()
    {
        await _kv.PutAsync("k", """{"user_name":"snake","userName":"camel","other_value":3}""");

        var read = await _kv.GetJsonAsync("k", PlainJson.Default.LookAlikes);
        (read!.user_name, read.UserName, read.OtherValue).Should().Be(("snake", "camel", 3));
        read = await _kv.GetJsonAsync<LookAlikes>("k");
        (read!.user_name, read.UserName, read.OtherValue).Should().Be(("snake", "camel", 3));
    }

    [Fact]
    public async Task Type_with_names_that_differ_in_case_reads_its_other_names_in_any_policy()
    {
        await _kv.PutAsync("k", """{"Name":"upper","name":"lower","otherValue":3}""");
        (await _kv.GetJsonAsync("k", PlainJson.Default.HalfTwins)).Should().BeEquivalentTo(new HalfTwins { Name = "upper", name = "lower", OtherValue = 3 });

        await _kv.PutAsync("k", """{"Name":"upper","name":"lower","other-value":3}""");
        (await _kv.GetJsonAsync("k", PlainJson.Default.HalfTwins)).Should().BeEquivalentTo(new HalfTwins { Name = "upper", name = "lower", OtherValue = 3 });
    }

    [Fact]
    public async Task Extension_data_takes_only_what_no_property_has()
    {
        await _kv.PutAsync("k", """{"known_value":1,"unknown_value":2,"third-value":{"known_value":3}}""");

        foreach (var read in new[] { await _kv.GetJsonAsync<WithRest>("k"), await _kv.GetJsonAsync("k", PlainJson.Default.WithRest) })
        {
            read!.KnownValue.Should().Be(1);
            read.Rest!.Keys.Should().Equal("unknown_value", "third-value");
            read.Rest["third-value"].GetRawText().Should().Be("""{"known_value":3}""");
        }
    }

    [Fact]
    public async Task Derived_types_are_read_in_any_naming_policy()
    {
        Shape shape = new Circle { ShapeName = "c", OuterRadius = 2 };
        await _kv.PutJsonAsync("k", shape, SnakeJson.Default.Shape);
        (await _kv.GetJsonAsync<Shape>("k")).Should().BeEquivalentTo(shape, options => options.RespectingRuntimeTypes());
        (await _kv.GetJsonAsync("k", PlainJson.Default.Shape)).Should().BeEquivalentTo(shape, options => options.RespectingRuntimeTypes());

        await _kv.PutJsonAsync("k", shape);
        (await _kv.GetJsonAsync("k", SnakeJson.Default.Shape)).Should().BeEquivalentTo(shape, options => options.RespectingRuntimeTypes());
    }

    [Fact]
    public async Task Required_members_and_deep_trees_are_read_in_any_naming_policy()
    {
        var tree = new Tree { NodeName = "a", ChildNodes = [new Tree { NodeName = "b", ChildNodes = [new Tree { NodeName = "c" }] }] };
        await _kv.PutJsonAsync("k", tree, SnakeJson.Default.Tree);

        (await _kv.GetJsonAsync<Tree>("k")).Should().BeEquivalentTo(tree);
        (await _kv.GetJsonAsync("k", PlainJson.Default.Tree)).Should().BeEquivalentTo(tree);
    }

    [Fact]
    public async Task Custom_converter_sees_the_names_as_they_were_written()
    {
        await _kv.PutAsync("k", """{"raw_text":{"a_b":1},"other_value":2}""");

        foreach (var read in new[] { await _kv.GetJsonAsync<WithConverter>("k"), await _kv.GetJsonAsync("k", PlainJson.Default.WithConverter) })
        {
            (read!.RawText!.Json, read.OtherValue).Should().Be(("""{"a_b":1}""", 2));
        }
    }

    [Fact]
    public async Task Type_info_made_by_hand_reads_any_naming_policy()
    {
        var info = JsonTypeInfo.CreateJsonTypeInfo<Buyer>(SnakeJson.Default.Options);
        info.CreateObject = static () => new Buyer();
        var name = info.CreateJsonPropertyInfo(typeof(string), "the_first_name");
        name.Set = static (buyer, value) => ((Buyer)buyer).FirstName = (string?)value;
        info.Properties.Add(name);
        await _kv.PutAsync("k", """{"TheFirstName":"Ada"}""");

        (await _kv.GetJsonAsync("k", info))!.FirstName.Should().Be("Ada");
    }

    [Fact]
    public async Task Error_in_another_naming_policy_names_the_place_in_the_value()
    {
        await _kv.PutAsync("k", "{\n  \"first_name\": \"Ada\", \"is_old_customer\": 12 }");

        var read = async () => await _kv.GetJsonAsync("k", PlainJson.Default.Buyer);
        var place = await read.Should().ThrowAsync<JsonException>();
        (place.Which.LineNumber, place.Which.BytePositionInLine).Should().Be((1L, 44L));
    }

    [Fact]
    public async Task Text_that_is_no_json_stays_an_error_in_any_naming_policy()
    {
        foreach (var json in new[] { "{\"first_name\":", "{\"first_name\" 1}", "_", "{\"a_b\":1}}", "[{\"first_name\":1}]", "\"a_b\"" })
        {
            await _kv.PutAsync("k", json);

            await FluentActions.Awaiting(async () => await _kv.GetJsonAsync<Buyer>("k")).Should().ThrowAsync<JsonException>();
            await FluentActions.Awaiting(async () => await _kv.GetJsonAsync("k", SnakeJson.Default.Buyer)).Should().ThrowAsync<JsonException>();
        }
    }

    [Fact]
    public async Task Nullable_struct_is_read_in_any_naming_policy()
    {
        Spot? spot = new Spot(1, -2);
        foreach (var json in new[] { """{"XValue":1,"YValue":-2}""", """{"xValue":1,"yValue":-2}""", """{"x_value":1,"y_value":-2}""", """{"X-VALUE":1,"Y-VALUE":-2}""" })
        {
            await _kv.PutAsync("k", json);

            (await _kv.GetJsonAsync<Spot?>("k")).Should().Be(spot, json);
            (await _kv.GetJsonAsync("k", PlainJson.Default.NullableSpot)).Should().Be(spot, json);
            (await _kv.GetJsonAsync("k", SnakeJson.Default.NullableSpot)).Should().Be(spot, json);
            (await _kv.GetJsonAsync(["k"], PlainJson.Default.NullableSpot))["k"].Should().Be(spot, json);
        }

        await _kv.PutAsync("k", "null");
        (await _kv.GetJsonAsync("k", PlainJson.Default.NullableSpot)).Should().BeNull();
    }

    [Fact]
    public async Task Enum_names_are_read_in_any_naming_policy()
    {
        foreach (var name in new[] { "SentBack", "sentBack", "sent_back", "SENT-BACK", "1" })
        {
            await _kv.PutAsync("k", $$"""{"state":"{{name}}","{{name}}":0}""");

            (await _kv.GetJsonAsync<OrderLine>("k"))!.State.Should().Be(LineState.SentBack, name);
        }

        await _kv.PutAsync("k", """{"sent_back":1,"IN-STOCK":2}""");
        (await _kv.GetJsonAsync<Dictionary<LineState, int>>("k")).Should().Equal(new Dictionary<LineState, int> { [LineState.SentBack] = 1, [LineState.InStock] = 2 });

        await _kv.PutAsync("k", """["Left_Side","LeftSide","left_side"]""");
        (await _kv.GetJsonAsync<Side[]>("k")).Should().Equal(Side.Left_Side, Side.LeftSide, Side.Left_Side);

        await _kv.PutAsync("k", "[\"left-side\"]");
        await FluentActions.Awaiting(async () => await _kv.GetJsonAsync<Side[]>("k")).Should().ThrowAsync<JsonException>();
    }

    private static Dictionary<string, Form> Forms { get; } = new()
    {
        ["reflection"] = new(
            async (kv, key, order) => await kv.PutJsonAsync(key, order),
            async (kv, key) => await kv.GetJsonAsync<Order>(key)),
        ["options, snake"] = Options(JsonNamingPolicy.SnakeCaseLower),
        ["options, SNAKE"] = Options(JsonNamingPolicy.SnakeCaseUpper),
        ["options, kebab"] = Options(JsonNamingPolicy.KebabCaseLower),
        ["options, KEBAB"] = Options(JsonNamingPolicy.KebabCaseUpper),
        ["options, none"] = Options(null),
        ["generated, none"] = Generated(PlainJson.Default.Order),
        ["generated, camel"] = Generated(CamelCaseJson.Default.Order),
        ["generated, snake"] = Generated(SnakeJson.Default.Order),
        ["generated, kebab"] = Generated(KebabJson.Default.Order),
    };

    private static Form Options(JsonNamingPolicy? policy)
    {
        var options = new JsonSerializerOptions { PropertyNamingPolicy = policy };
        return new(
            async (kv, key, order) => await kv.PutAsync(key, JsonSerializer.SerializeToUtf8Bytes(order, options)),
            async (kv, key) => (await kv.GetAsync(key)).GetJson<Order>(options));
    }

    private static Form Generated(JsonTypeInfo<Order> info) => new(
        async (kv, key, order) => await kv.PutJsonAsync(key, order, info),
        async (kv, key) => await kv.GetJsonAsync(key, info));

    private sealed record Form(Func<KvNamespace, string, Order, Task> Put, Func<KvNamespace, string, Task<Order?>> Get);
}

internal enum LineState
{
    InStock,
    SentBack,
}

internal enum Side
{
    Left_Side,
    LeftSide,
}

internal sealed record Order(
    int OrderNumber, Buyer Buyer, IReadOnlyList<OrderLine> OrderLines, IReadOnlyDictionary<string, OrderLine> LinesByKey, Spot? LastSpot, LineState? LastState)
{
    public string? DeliveryNote { get; init; }

    public required Guid ExternalId { get; init; }

    [JsonPropertyName("explicit-name")]
    public string? Explicit { get; init; } = "e";
}

internal sealed class Buyer
{
    public string? FirstName { get; set; }

    public bool? IsOldCustomer { get; set; }

    public string? HomeTown { get; set; }
}

internal sealed class OrderLine
{
    public string ProductCode { get; set; } = "";

    public decimal UnitPrice { get; set; }

    public LineState State { get; set; }
}

internal readonly record struct Spot(int XValue, int YValue);

internal sealed class Account
{
    [JsonPropertyName("user_id")]
    public int Id { get; set; }

    [JsonPropertyName("emailAddress")]
    public string? Mail { get; set; }

    public string? NickName { get; set; }
}

internal sealed class LookAlikes
{
#pragma warning disable IDE1006 // The point of the type.
    public string? user_name { get; set; }
#pragma warning restore IDE1006

    public string? UserName { get; set; }

    public int OtherValue { get; set; }
}

internal sealed class HalfTwins
{
    public string? Name { get; set; }

#pragma warning disable IDE1006 // The point of the type.
    public string? name { get; set; }
#pragma warning restore IDE1006

    public int OtherValue { get; set; }
}

internal sealed class WithRest
{
    public int KnownValue { get; set; }

    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Rest { get; set; }
}

[JsonDerivedType(typeof(Circle), "circle_shape")]
internal class Shape
{
    public string? ShapeName { get; set; }
}

internal sealed class Circle : Shape
{
    public int OuterRadius { get; set; }
}

internal sealed class Tree
{
    public required string NodeName { get; set; }

    public List<Tree>? ChildNodes { get; set; }
}

internal sealed class WithConverter
{
    public RawText? RawText { get; set; }

    public int OtherValue { get; set; }
}

[JsonConverter(typeof(RawTextConverter))]
internal sealed record RawText(string Json);

internal sealed class RawTextConverter : JsonConverter<RawText>
{
    public override RawText Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        new(JsonElement.ParseValue(ref reader).GetRawText());

    public override void Write(Utf8JsonWriter writer, RawText value, JsonSerializerOptions options) => writer.WriteRawValue(value.Json);
}

[JsonSerializable(typeof(Order))]
[JsonSerializable(typeof(Account))]
[JsonSerializable(typeof(LookAlikes))]
[JsonSerializable(typeof(HalfTwins))]
[JsonSerializable(typeof(WithRest))]
[JsonSerializable(typeof(Shape))]
[JsonSerializable(typeof(Tree))]
[JsonSerializable(typeof(WithConverter))]
[JsonSerializable(typeof(Spot?))]
internal sealed partial class PlainJson : JsonSerializerContext;

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(Order))]
internal sealed partial class CamelCaseJson : JsonSerializerContext;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(Order))]
[JsonSerializable(typeof(Shape))]
[JsonSerializable(typeof(Tree))]
[JsonSerializable(typeof(Spot?))]
internal sealed partial class SnakeJson : JsonSerializerContext;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.KebabCaseLower)]
[JsonSerializable(typeof(Order))]
internal sealed partial class KebabJson : JsonSerializerContext;
