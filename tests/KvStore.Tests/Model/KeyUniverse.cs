using System.Globalization;
using System.Text;

namespace KvStore.Tests.Model;

/// <summary>The keys that a run of the model draws from, and prefixes that cut them where it hurts.</summary>
internal sealed class KeyUniverse
{
    // NUL and its neighbours, the edges of one to four bytes of UTF-8, and U+FFFF, which is greater than U+10000 in UTF-16
    // and less in UTF-8.
    private static readonly string[] s_edges =
    [
        "\0", "\u0001", " ", "/", ":", "a", "b", "~", "\u007F", "\u0080", "é", "\u07FF", "\u0800", "日", "\uD7FF", "\uE000",
        "\uFEFF", "\uFFFD", "\uFFFF", "\U00010000", "😀", "\U0010FFFF",
    ];

    private readonly string[] _keys;

    private KeyUniverse(string name, IEnumerable<string> keys)
    {
        Name = name;
        _keys = [.. keys.Where(key => key is not ("" or "." or "..") && Encoding.UTF8.GetByteCount(key) <= 512).Distinct()];
    }

    public static IReadOnlyList<string> Names { get; } = ["few", "kin", "edges", "tree", "long", "unicode", "wide"];

    public string Name { get; }

    public int Count => _keys.Length;

    /// <summary>A universe by its name. Random ones are the same for the same seed.</summary>
    public static KeyUniverse Named(string name, int seed)
    {
        var random = new Random(seed);
        return new KeyUniverse(name, name switch
        {
            // So few that every key is overwritten, deleted and put again all the time.
            "few" => ["a", "b", "ab", "a\0", "é", "\uFFFF", "\U00010000", "key"],

            // Each the beginning of the next, also by NULs, across the lengths at which comparisons change their step.
            "kin" => Enumerable.Range(1, 70).SelectMany(n => new[] { Repeat("a", n), "a" + Repeat("\0", n), Repeat("é", n), Repeat("ab", n) }),

            "edges" => s_edges.Concat(from x in s_edges from y in s_edges select x + y)
                .Concat(from x in s_edges from y in s_edges select x + "a" + y),

            // As applications name them: long shared beginnings, numbers with and without zeros before them.
            "tree" => from tenant in Enumerable.Range(0, 12)
                      from user in Enumerable.Range(0, 60)
                      from field in new[] { "", "/name", "/mail", "/flags/beta", "/flags/beta2" }
                      select string.Create(CultureInfo.InvariantCulture, $"tenant:{tenant}/user:{user:D4}{field}"),

            // Up to the limit, and different only near their end.
            "long" => from length in new[] { 200, 255, 256, 257, 400, 500, 510, 511, 512 }
                      from end in s_edges
                      select Repeat("x", length - Encoding.UTF8.GetByteCount(end)) + end,

            "unicode" => Enumerable.Range(0, 3000).Select(_ => string.Concat(
                Enumerable.Range(0, random.Next(1, 12)).Select(_ => s_edges[random.Next(s_edges.Length)]))),

            // Enough for many leaves, and for tables to grow and shrink.
            "wide" => Enumerable.Range(0, 40_000).Select(i => string.Create(CultureInfo.InvariantCulture, $"key:{i:D20}"))
                .Concat(Enumerable.Range(0, 20_000).Select(_ => random.NextInt64().ToString("x", CultureInfo.InvariantCulture))),

            _ => throw new ArgumentException($"{name} is not a universe.", nameof(name)),
        });
    }

    public string Key(Random random) => _keys[random.Next(_keys.Length)];

    /// <summary>
    /// No prefix, the beginning of a key (at times cut through a character, or a whole key), a key and more, or anything.
    /// </summary>
    public string? Prefix(Random random)
    {
        var key = Key(random);
        return random.Next(10) switch
        {
            0 => null,
            1 => "",
            2 => key,
            3 => key + s_edges[random.Next(s_edges.Length)],
            4 => s_edges[random.Next(s_edges.Length)],
            _ => key[..random.Next(key.Length + 1)],
        };
    }

    private static string Repeat(string text, int count) => new StringBuilder(text.Length * count).Insert(0, text, count).ToString();
}
