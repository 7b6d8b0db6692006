using System.Text.Json;

namespace KvStore.Tests.Vectors;

/// <summary>A recorded scenario on which KvStore answers otherwise, on purpose.</summary>
/// <param name="Id">The scenario.</param>
/// <param name="Reason">Why the recorded answer is not copied.</param>
/// <param name="Instead">What KvStore does.</param>
/// <param name="Answers">By operation: the answer of KvStore, written like a recorded one. All other operations answer as recorded.</param>
public sealed record DeliberateDifference(
    string Id, string Reason, string Instead, IReadOnlyDictionary<int, JsonElement> Answers)
{
    private const string LostIndexKeys = "the runtime copies the answer into a Map and loses keys that look like array indices";
    private const string LostIndexKeysInstead = "many keys come back as they were asked for, whatever they look like";

    private const string NoTypeOfMany = "bytes are as easy to give as text, and the type is the method that reads a value";
    private const string NoTypeOfManyInstead = "GetManyAsync gives each value, to be read as bytes or stream too";

    private const string LenientCursor = "the local emulator decodes any text as a cursor and begins somewhere; the service refuses it";
    private const string LenientCursorInstead = "a malformed cursor is refused with status 400";

    private const string Surrogate = "half a character is not text; the runtime stores bytes that are not UTF-8, which read as three U+FFFD";
    private const string SurrogateInstead = "an unpaired surrogate is stored as one U+FFFD, as .NET encodes it";

    private const string ThirtyTwoBits = "the runtime takes seconds for 32-bit numbers, and refuses expirations after 2038 that a time to live leads to";
    private const string ThirtyTwoBitsInstead = "every expiration that can be read can be written, until 2106";

    private const string BadCursor =
        """{"error":{"name":"Error","message":"KV LIST failed: 400 Invalid cursor. Please specify the cursor of the page before, as it was returned.","status":400}}""";

    /// <summary>Every difference.</summary>
    public static IReadOnlyList<DeliberateDifference> All { get; } =
    [
        IndexKey("keys-070", "0"),
        IndexKey("keys-071", "1"),
        IndexKey("keys-073", "4294967294"),
        new(
            "multi-get-028", LostIndexKeys, LostIndexKeysInstead,
            Answering(
                (3, """{"map":[["a",{"text":"z"}],["10",{"text":"x"}],["9",{"text":"y"}]]}"""),
                (4, """{"map":[["10",{"text":"x"}],["9",{"text":"y"}]]}"""),
                (5, """
                    {"map":[["10",{"entry":{"value":{"text":"x"},"metadata":null}}],
                            ["9",{"entry":{"value":{"text":"y"},"metadata":null}}],
                            ["a",{"entry":{"value":{"text":"z"},"metadata":null}}]]}
                    """))),
        ManyOfType("multi-get-015", """{"bytes":{"$b64":"MQ=="}}"""),
        ManyOfType("multi-get-016", """{"stream":{"$b64":"MQ=="}}"""),
        new(
            "values-013",
            "the emulator parses and writes the JSON again when many keys are read, and loses the sign of -0",
            "the value is read as it was stored, by itself and among many",
            Answering((11, """{"map":[["k",{"json":{"$number":"-0"}}]]}"""))),
        new(
            "values-015",
            "the emulator parses and writes the JSON again when many keys are read, and turns Infinity into null",
            "the value is read as it was stored, by itself and among many",
            Answering((11, """{"map":[["k",{"json":{"$number":"Infinity"}}]]}"""))),
        new("values-060", Surrogate, SurrogateInstead, StoredText("a\uFFFDb", "Ye+/vWI=")),
        new("values-061", Surrogate, SurrogateInstead, StoredText("a\uFFFD", "Ye+/vQ==")),
        new(
            "metadata-080",
            "the emulator takes a stored JSON null for a missing key when many are read, and loses its metadata",
            "the value reads as null and the metadata stays",
            Answering((2, """{"map":[["n",{"entry":{"value":{"null":true},"metadata":"m"}}]]}"""))),
        new(
            "time-005",
            "the emulator lists a key for one millisecond longer than it can be read",
            "get and list share the boundary: gone when expiration <= now",
            Answering(
                (3, """{"page":{"keys":[],"list_complete":true,"cursor":false}}"""),
                (5, """{"page":{"keys":[],"list_complete":true,"cursor":false}}"""))),
        new(
            "time-003",
            "the emulator counts a time to live from the beginning of the second, so that an entry may live a second less",
            "an entry lives at least its time to live, and shows the second that the emulator shows",
            Answering((5, """{"text":"v"}"""))),
        new(
            "expiration-015", ThirtyTwoBits, ThirtyTwoBitsInstead,
            Answering((1, """{"error":{"name":"TypeError","message":"Invalid expiration_ttl of 4294967356. The latest expiration that can be stored is 4294967295 (2106-02-07T06:28:15Z)."}}"""))),
        new(
            "expiration-016", ThirtyTwoBits, ThirtyTwoBitsInstead,
            Answering((1, """{"error":{"name":"Error","message":"KV PUT failed: 400 Invalid expiration_ttl of -2147483649. Please specify integer greater than 0.","status":400}}"""))),
        new(
            "expiration-056", ThirtyTwoBits, ThirtyTwoBitsInstead,
            Answering(
                (1, """{"void":true}"""),
                (2, """{"text":"v"}"""),
                (3, """{"page":{"keys":[{"name":"k","expiration":"t0+447483648"}],"list_complete":true,"cursor":false}}"""))),
        MadeUpCursor("list-063"),
        MadeUpCursor("list-065"),
        MadeUpCursor("list-066"),
        MadeUpCursor("list-068"),
        MadeUpCursor("list-070"),
        MadeUpCursor("list-071"),
        MadeUpCursor("list-073"),
    ];

    private static DeliberateDifference IndexKey(string id, string key) => new(
        id, LostIndexKeys, LostIndexKeysInstead,
        Answering(
            (2, $$$"""{"map":[["{{{key}}}",{"text":"v"}]]}"""),
            (3, $$$"""{"map":[["{{{key}}}",{"text":"v"}],["x",{"null":true}]]}"""),
            (4, $$$"""{"map":[["{{{key}}}",{"entry":{"value":{"text":"v"},"metadata":null}}],["x",{"null":true}]]}""")));

    private static DeliberateDifference ManyOfType(string id, string value) => new(
        id, NoTypeOfMany, NoTypeOfManyInstead,
        Answering(
            (1, $$$"""{"map":[["a",{{{value}}}]]}"""),
            (2, $$$"""{"map":[["a",{"entry":{"value":{{{value}}},"metadata":null}}]]}"""),
            (3, """{"map":[["missing",{"null":true}]]}"""),
            (4, $$$"""{"map":[["a",{{{value}}}]]}"""),
            (5, """{"error":{"name":"Error","message":"KV GET_BULK failed: 400 You must request a minimum of 1 key","status":400}}"""),
            (6, """{"error":{"name":"Error","message":"KV GET_BULK failed: 400 You can request a maximum of 100 keys","status":400}}""")));

    private static DeliberateDifference MadeUpCursor(string id) =>
        new(id, LenientCursor, LenientCursorInstead, Answering((4, BadCursor), (5, BadCursor)));

    private static Dictionary<int, JsonElement> StoredText(string text, string base64)
    {
        var (asText, asBytes) = ($$$"""{"text":"{{{text}}}"}""", $$$"""{"bytes":{"$b64":"{{{base64}}}"}}""");
        var asStream = $$$"""{"stream":{"$b64":"{{{base64}}}"}}""";
        return Answering(
            (1, asText),
            (2, asText),
            (3, asBytes),
            (4, asStream),
            (6, $$$"""{"entry":{"value":{{{asText}}},"metadata":null,"cacheStatus":null}}"""),
            (7, $$$"""{"entry":{"value":{{{asBytes}}},"metadata":null,"cacheStatus":null}}"""),
            (8, $$$"""{"entry":{"value":{{{asStream}}},"metadata":null,"cacheStatus":null}}"""),
            (10, $$$"""{"map":[["k",{{{asText}}}]]}"""));
    }

    private static Dictionary<int, JsonElement> Answering(params (int Operation, string Expect)[] answers) =>
        answers.ToDictionary(answer => answer.Operation, answer => JsonSerializer.Deserialize<JsonElement>(answer.Expect));
}
