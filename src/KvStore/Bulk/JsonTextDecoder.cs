using System.Buffers;
using System.Text;
using System.Text.Json;

namespace KvStore.Bulk;

/// <summary>
/// Decodes the escapes of a JSON string that arrives in parts. An escape may be split between two parts. Bytes that are not UTF-8 are
/// not changed.
/// </summary>
internal struct JsonTextDecoder
{
    private const int Plain = 0;
    private const int Backslash = 1;
    private const int FirstDigit = 2;
    private const int AfterLastDigit = 6;

    private static readonly SearchValues<byte> s_special = SearchValues.Create([(byte)'\\', .. Enumerable.Range(0, 0x20).Select(b => (byte)b)]);

    private int _state;
    private int _unit;
    private int _high;

    /// <summary>Whether there was half of a surrogate pair, which UTF-8 cannot encode. It is left out.</summary>
    public bool HasHalfPair { get; private set; }

    /// <summary>Decodes the next part.</summary>
    /// <exception cref="JsonException">There is an escape that JSON does not have, or a control character.</exception>
    public void Decode(ReadOnlySpan<byte> json, ArrayBufferWriter<byte> output)
    {
        while (!json.IsEmpty)
        {
            if (_state == Plain)
            {
                var end = json.IndexOfAny(s_special);
                var plain = end < 0 ? json : json[..end];
                if (!plain.IsEmpty)
                {
                    DropHigh();
                    output.Write(plain);
                    json = json[plain.Length..];
                    continue;
                }

                if (json[0] != '\\')
                {
                    throw new JsonException("A control character stands in a text, unescaped.");
                }

                _state = Backslash;
            }
            else if (_state == Backslash)
            {
                Escape(json[0], output);
            }
            else
            {
                Digit(json[0], output);
            }

            json = json[1..];
        }
    }

    /// <summary>Ends the text.</summary>
    /// <exception cref="JsonException">The text ends within an escape.</exception>
    public void End()
    {
        if (_state != Plain)
        {
            throw new JsonException("A text ends within an escape.");
        }

        DropHigh();
    }

    private void Escape(byte letter, ArrayBufferWriter<byte> output)
    {
        if (letter == 'u')
        {
            (_state, _unit) = (FirstDigit, 0);
            return;
        }

        DropHigh();
        _state = Plain;
        output.GetSpan(1)[0] = letter switch
        {
            (byte)'"' or (byte)'\\' or (byte)'/' => letter,
            (byte)'b' => (byte)'\b',
            (byte)'f' => (byte)'\f',
            (byte)'n' => (byte)'\n',
            (byte)'r' => (byte)'\r',
            (byte)'t' => (byte)'\t',
            _ => throw new JsonException("A text has an escape that JSON does not have."),
        };
        output.Advance(1);
    }

    private void Digit(byte digit, ArrayBufferWriter<byte> output)
    {
        if (!char.IsAsciiHexDigit((char)digit))
        {
            throw new JsonException("A text has an escape that JSON does not have.");
        }

        _unit = (_unit << 4) | Convert.FromHexString([(char)'0', (char)digit])[0];
        if (++_state < AfterLastDigit)
        {
            return;
        }

        _state = Plain;
        var unit = (char)_unit;
        if (char.IsLowSurrogate(unit) && _high != 0)
        {
            Write(new Rune((char)_high, unit), output);
            _high = 0;
            return;
        }

        DropHigh();
        if (char.IsHighSurrogate(unit))
        {
            _high = unit;
        }
        else if (char.IsLowSurrogate(unit))
        {
            HasHalfPair = true;
        }
        else
        {
            Write(new Rune(unit), output);
        }
    }

    // The first half of a surrogate pair is not followed by the second.
    private void DropHigh()
    {
        HasHalfPair |= _high != 0;
        _high = 0;
    }

    private static void Write(Rune rune, ArrayBufferWriter<byte> output) => output.Advance(rune.EncodeToUtf8(output.GetSpan(4)));
}
