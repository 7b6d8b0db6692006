using System.Globalization;
using System.Numerics;
using System.Runtime.CompilerServices;

namespace KvStore.Rules;

/// <summary>The exceptions for what is out of its range. Those of the runtime print the value in the culture of the thread.</summary>
internal static class OutOfRange
{
    /// <summary>Makes the exception.</summary>
    public static ArgumentOutOfRangeException Exception(string name, object value, string message) =>
        new(name, Convert.ToString(value, CultureInfo.InvariantCulture), message);

    /// <summary>Checks the lower end of a range.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is less.</exception>
    public static void ThrowIfLessThan<T>(T value, T least, [CallerArgumentExpression(nameof(value))] string name = "")
        where T : INumber<T>
    {
        if (value < least)
        {
            throw Exception(name, value, string.Create(CultureInfo.InvariantCulture, $"{name} is {value}; it must be at least {least}."));
        }
    }
}
