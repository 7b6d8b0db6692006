using System.Globalization;

namespace KvStore.TestKit.Persistence;

/// <summary>
/// What the program of <c>PutManyRounds</c> puts in each round, so that the test that killed it knows what must be there.
/// </summary>
internal static class PutManyScript
{
    public const int Keys = 300;

    /// <summary>The entries of a round, in order: a value begins with the number of its round.</summary>
    public static KvEntry[] Round(int round) => [.. Enumerable.Range(0, Keys).Select(i => new KvEntry(Key(i), Value(round, i)))];

    public static string Key(int index) => index.ToString("D4", CultureInfo.InvariantCulture);

    // One in a hundred is kept in a file of its own.
    private static string Value(int round, int index) =>
        string.Create(CultureInfo.InvariantCulture, $"{round} {new string('v', index % 100 == 50 ? 5000 : (round * 31 + index * 17) % 400)}");
}
