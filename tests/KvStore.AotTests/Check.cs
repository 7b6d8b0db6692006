using System.Runtime.CompilerServices;

namespace KvStore.AotTests;

/// <summary>Counts what held, and ends the program with what did not.</summary>
internal static class Check
{
    /// <summary>How many checks have held.</summary>
    public static int Count { get; private set; }

    public static void That(bool holds, string what, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
    {
        if (!holds)
        {
            throw new CheckFailedException($"{Path.GetFileName(file)}:{line}: {what}");
        }

        Count++;
    }

    public static void Equal<T>(
        T expected, T actual, [CallerArgumentExpression(nameof(actual))] string what = "",
        [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) =>
        That(EqualityComparer<T>.Default.Equals(expected, actual), $"{what} is {actual}, expected {expected}", file, line);

    public static void Bytes(
        ReadOnlySpan<byte> expected, ReadOnlySpan<byte> actual, [CallerArgumentExpression(nameof(actual))] string what = "",
        [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) =>
        That(expected.SequenceEqual(actual), $"{what} is {Convert.ToHexString(actual)}, expected {Convert.ToHexString(expected)}", file, line);

    public static async Task Throws<TException>(
        string message, Func<Task> act, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
        where TException : Exception
    {
        try
        {
            await act();
        }
        catch (TException e)
        {
            That(e.Message.StartsWith(message, StringComparison.Ordinal), $"the message is \"{e.Message}\", expected \"{message}\"", file, line);
            return;
        }

        That(false, $"no {typeof(TException).Name} was thrown, expected \"{message}\"", file, line);
    }
}

/// <summary>A check that did not hold.</summary>
internal sealed class CheckFailedException(string message) : Exception(message);
