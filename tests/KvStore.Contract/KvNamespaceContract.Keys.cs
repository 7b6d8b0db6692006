namespace KvStore.Contract;

/// <summary>What may be a key, and how the binding says that something is not.</summary>
public abstract partial class KvNamespaceContract
{
    public static TheoryData<string> Operations => ["GET", "PUT", "DELETE"];

    // Not theory data: test names cannot hold all of them.
    private static string[] UnusualKeys =>
    [
        "a", "A", " ", " a", "a ", "\0", "a\0", "a\0b", "\n", "\r\n", "\t", "...", "./", "../x", "/", "//", "a/b", "a%2Fb", "a%252Fb", "%", "%zz",
        "+", "a+b", "a b", "?", "a?b=c&d", "#", "a#b", "&", "=", ":", ";", ",", "@", "!", "$", "'", "(", ")", "*", "[", "]", "{}", "|", "\\", "^", "`", "~",
        "\"", "<b>", "0", "42", "4294967294", "-1", "__proto__", "constructor", "null", "undefined", "bulk/get", "\u007F", "\u0080", "\uFEFF", "\uFEFFa",
        "é", "e\u0301", "ß", "İ", "日本", "\uD7FF", "\uE000", "\uFFFD", "\uFFFE", "\uFFFF", "\U00010000", "\U0001F600", "\U0010FFFF",
        new string('k', 512), new string('\0', 512), new string('é', 256), string.Concat(Enumerable.Repeat("\U0001F600", 128)),
    ];

    [Fact]
    public async Task Any_text_of_1_to_512_bytes_is_a_key_of_its_own_but_for_one_and_two_dots()
    {
        var keys = UnusualKeys;
        foreach (var key in keys)
        {
            await Kv.PutAsync(key, "value of " + key);
        }

        foreach (var key in keys)
        {
            (await Kv.GetTextAsync(key)).Should().Be("value of " + key);
        }

        (await Kv.GetTextAsync(keys)).Should().Equal(keys.ToDictionary(key => key, string? (key) => "value of " + key));
        (await Names()).Should().BeEquivalentTo(keys);

        foreach (var key in keys)
        {
            await Kv.DeleteAsync(key);
            (await Kv.GetAsync(key)).Exists.Should().BeFalse();
        }

        (await Names()).Should().BeEmpty();
    }

    [Theory]
    [MemberData(nameof(Operations))]
    public async Task An_empty_key_is_refused(string operation) =>
        await Invoking(operation, "").Should().ThrowAsync<ArgumentException>().WithMessage("Key name cannot be empty.*");

    [Theory]
    [MemberData(nameof(Operations))]
    public async Task Keys_of_a_single_dot_and_of_two_dots_are_refused(string operation)
    {
        await Invoking(operation, ".").Should().ThrowAsync<ArgumentException>().WithMessage("\".\" is not allowed as a key name.*");
        await Invoking(operation, "..").Should().ThrowAsync<ArgumentException>().WithMessage("\"..\" is not allowed as a key name.*");
    }

    [Theory]
    [MemberData(nameof(Operations))]
    public async Task No_key_at_all_is_refused(string operation) =>
        await Invoking(operation, null!).Should().ThrowAsync<ArgumentNullException>();

    [Theory]
    [MemberData(nameof(Operations))]
    public async Task A_key_of_more_than_512_bytes_is_refused(string operation)
    {
        await ShouldRefuse(
            Invoking(operation, new string('k', 513)), 414,
            FormattableString.Invariant($"KV {operation} failed: 414 UTF-8 encoded length of 513 exceeds key length limit of 512."));
        await ShouldRefuse(
            Invoking(operation, new string('é', 257)), 414,
            FormattableString.Invariant($"KV {operation} failed: 414 UTF-8 encoded length of 514 exceeds key length limit of 512."));
        await ShouldRefuse(
            Invoking(operation, new string('k', KeyBytesSent)), 414,
            FormattableString.Invariant($"KV {operation} failed: 414 UTF-8 encoded length of {KeyBytesSent} exceeds key length limit of 512."));
    }

    [Theory]
    [MemberData(nameof(Operations))]
    public async Task An_unpaired_surrogate_is_refused(string operation)
    {
        await ShouldRefuse(Invoking(operation, Unpaired), 400, FormattableString.Invariant($"KV {operation} failed: 400 Could not URL-decode key name"));
        await ShouldRefuse(Invoking(operation, "\uDC00"), 400, FormattableString.Invariant($"KV {operation} failed: 400 Could not URL-decode key name"));
        await ShouldRefuse(Invoking(operation, "\uDE00\uD83D"), 400, FormattableString.Invariant($"KV {operation} failed: 400 Could not URL-decode key name"));
    }

    [Fact]
    public async Task Keys_are_not_normalised()
    {
        await Kv.PutAsync("\u00E9", "composed");

        (await Kv.GetTextAsync("e\u0301")).Should().BeNull();
        (await Kv.GetTextAsync("\u00C9")).Should().BeNull();
        (await Kv.GetTextAsync(" \u00E9")).Should().BeNull();
    }

    private Func<Task> Invoking(string operation, string key) => operation switch
    {
        "GET" => () => Kv.GetAsync(key).AsTask(),
        "PUT" => () => Kv.PutAsync(key, "v").AsTask(),
        "DELETE" => () => Kv.DeleteAsync(key).AsTask(),
        _ => throw new ArgumentOutOfRangeException(nameof(operation)),
    };
}
