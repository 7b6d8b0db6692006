using System.ComponentModel;
using System.Globalization;
using System.Text;

namespace KvStore;

/// <summary>
/// Makes keys from arguments and arguments from keys. Used by generated code; write <see cref="KvKeyAttribute"/> instead.
/// </summary>
/// <remarks>
/// <para>In an argument <c>%</c> and every punctuation character of the template's literals (what is neither a letter or digit of
/// ASCII nor half of a surrogate pair) is written as <c>%</c> and the hexadecimal digits of its UTF-16 unit: two, or <c>u</c> and
/// four. Each literal between two placeholders begins with such a character, which therefore ends the argument before it. So a
/// key has at most one reading.</para>
/// <para>Immutable; safe to use from any number of threads.</para>
/// </remarks>
[EditorBrowsable(EditorBrowsableState.Never)]
public sealed class KvKeyTemplate
{
    private readonly string _owner;
    private readonly int _keyBytesMax;
    private readonly string[] _literals;
    private readonly string _special;

    /// <summary>Makes a template.</summary>
    /// <param name="owner">The method that it belongs to, for messages.</param>
    /// <param name="keyBytesMax">The longest key, in bytes of UTF-8.</param>
    /// <param name="literals">The text before, between and after the placeholders: one more than there are placeholders.</param>
    /// <exception cref="ArgumentException">There is no literal, or no literal that begins with punctuation between two
    /// placeholders.</exception>
    public KvKeyTemplate(string owner, int keyBytesMax, params string[] literals)
    {
        ArgumentNullException.ThrowIfNull(owner);
        ArgumentNullException.ThrowIfNull(literals);
        ArgumentOutOfRangeException.ThrowIfZero(literals.Length, nameof(literals));
        for (var i = 1; i < literals.Length; i++)
        {
            var isLast = i == literals.Length - 1;
            if (literals[i].Length == 0 ? !isLast : !IsDelimiter(literals[i][0]))
            {
                throw new ArgumentException(Invariant($"The literal behind placeholder {i} of {owner} must begin with punctuation other than '%'."), nameof(literals));
            }
        }

        _owner = owner;
        _keyBytesMax = keyBytesMax;
        _literals = [.. literals];
        _special = string.Concat(literals.SelectMany(static literal => literal).Where(IsDelimiter).Append('%').Distinct());
    }

    /// <summary>The key of these arguments.</summary>
    /// <param name="arguments">One for each placeholder.</param>
    /// <returns>The key.</returns>
    /// <exception cref="ArgumentException">The key is longer than a key may be. The message names the method and both lengths.</exception>
    public string Format(ReadOnlySpan<string> arguments)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(arguments.Length, _literals.Length - 1, nameof(arguments));
        return Build(arguments, "key");
    }

    /// <summary>The prefix of all keys whose first arguments are these.</summary>
    /// <param name="arguments">At most as many as there are placeholders.</param>
    /// <returns>The prefix.</returns>
    /// <exception cref="ArgumentException">The prefix is longer than a key may be.</exception>
    public string Prefix(ReadOnlySpan<string> arguments)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(arguments.Length, _literals.Length, nameof(arguments));
        return Build(arguments, "prefix");
    }

    /// <summary>Takes a key apart.</summary>
    /// <param name="key">The key.</param>
    /// <param name="arguments">Where to put the arguments: one for each placeholder.</param>
    /// <returns>False when no arguments make this key.</returns>
    public bool TryParse(string key, Span<string> arguments)
    {
        ArgumentNullException.ThrowIfNull(key);
        ArgumentOutOfRangeException.ThrowIfNotEqual(arguments.Length, _literals.Length - 1, nameof(arguments));
        var rest = key.AsSpan();
        if (!rest.StartsWith(_literals[0], StringComparison.Ordinal))
        {
            return false;
        }

        rest = rest[_literals[0].Length..];
        for (var i = 0; i < arguments.Length; i++)
        {
            var literal = _literals[i + 1];
            var end = literal.Length == 0 ? rest.Length : rest.IndexOf(literal[0]);
            if (end < 0 || !rest[end..].StartsWith(literal, StringComparison.Ordinal) || !TryUnescape(rest[..end], out arguments[i]))
            {
                return false;
            }

            rest = rest[(end + literal.Length)..];
        }

        return rest.IsEmpty;
    }

    /// <summary>Whether a literal that begins with this character can end an argument.</summary>
    private static bool IsDelimiter(char c) => c != '%' && !char.IsAsciiLetterOrDigit(c) && !char.IsSurrogate(c);

    /// <summary>The text of a number, a date or a GUID in a key. It does not depend on the culture.</summary>
    /// <typeparam name="T">The type.</typeparam>
    /// <param name="value">The value.</param>
    /// <param name="format">The format of the type, or null.</param>
    /// <returns>The text.</returns>
    public static string Text<T>(T value, string? format = null)
        where T : struct, IFormattable => value.ToString(format, CultureInfo.InvariantCulture);

    /// <summary>The text of a truth value in a key.</summary>
    /// <param name="value">The value.</param>
    /// <returns><c>true</c> or <c>false</c>.</returns>
    public static string Text(bool value) => value ? "true" : "false";

    /// <summary>Reads the text that <see cref="Text{T}(T, string?)"/> wrote, and no other: <c>007</c> is not the text of a number in a
    /// key.</summary>
    /// <typeparam name="T">The type.</typeparam>
    /// <param name="text">The text.</param>
    /// <param name="value">The value.</param>
    /// <param name="format">The format of the type, or null.</param>
    /// <returns>False when no value has this text.</returns>
    public static bool TryRead<T>(string text, out T value, string? format = null)
        where T : struct, IFormattable, IParsable<T> =>
        T.TryParse(text, CultureInfo.InvariantCulture, out value) && Text(value, format) == text;

    /// <summary>Reads the text that <see cref="Text(bool)"/> wrote.</summary>
    /// <param name="text">The text.</param>
    /// <param name="value">The value.</param>
    /// <returns>False when the text is neither.</returns>
    public static bool TryRead(string text, out bool value)
    {
        value = text == "true";
        return value || text == "false";
    }

    private string Build(ReadOnlySpan<string> arguments, string what)
    {
        var key = new StringBuilder(_literals[0]);
        for (var i = 0; i < arguments.Length; i++)
        {
            ArgumentNullException.ThrowIfNull(arguments[i], nameof(arguments));
            Escape(arguments[i], key);
            key.Append(_literals[i + 1]);
        }

        var text = key.ToString();
        if (text.Length * 3L > _keyBytesMax && Encoding.UTF8.GetByteCount(text) is var bytes && bytes > _keyBytesMax)
        {
            var own = _literals.Sum(static literal => Encoding.UTF8.GetByteCount(literal));
            throw new ArgumentException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"The {what} of {_owner} has {bytes} bytes of UTF-8, {own} of them its template's; it may have {_keyBytesMax}. Pass shorter arguments, or put a hash of them into the key."),
                nameof(arguments));
        }

        return text;
    }

    private void Escape(string argument, StringBuilder key)
    {
        foreach (var c in argument)
        {
            if (!_special.Contains(c, StringComparison.Ordinal))
            {
                key.Append(c);
            }
            else if (c <= '\xFF')
            {
                key.Append('%').Append(((int)c).ToString("X2", CultureInfo.InvariantCulture));
            }
            else
            {
                key.Append("%u").Append(((int)c).ToString("X4", CultureInfo.InvariantCulture));
            }
        }
    }

    // Accepts only text that Escape writes. No argument has a character that is escaped without need, or not escaped where it must be.
    private bool TryUnescape(ReadOnlySpan<char> escaped, out string argument)
    {
        var text = new StringBuilder(escaped.Length);
        argument = "";
        for (var i = 0; i < escaped.Length; i++)
        {
            var c = escaped[i];
            if (c != '%')
            {
                if (_special.Contains(c, StringComparison.Ordinal))
                {
                    return false;
                }

                text.Append(c);
                continue;
            }

            var (start, digits) = i + 1 < escaped.Length && escaped[i + 1] == 'u' ? (i + 2, 4) : (i + 1, 2);
            if (start + digits > escaped.Length || !TryUnit(escaped.Slice(start, digits), out c) || (digits == 4) == (c <= '\xFF')
                || !_special.Contains(c, StringComparison.Ordinal))
            {
                return false;
            }

            text.Append(c);
            i = start + digits - 1;
        }

        argument = text.ToString();
        return true;
    }

    private static bool TryUnit(ReadOnlySpan<char> digits, out char unit)
    {
        unit = '\0';
        foreach (var digit in digits)
        {
            if (digit is not ((>= '0' and <= '9') or (>= 'A' and <= 'F')))
            {
                return false;
            }
        }

        unit = (char)ushort.Parse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
        return true;
    }
}
