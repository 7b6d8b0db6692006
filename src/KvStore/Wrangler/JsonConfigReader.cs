using System.Globalization;
using System.Text;

namespace KvStore.Wrangler;

/// <summary>
/// Reads JSON with comments and trailing commas as wrangler does (with jsonc-parser): a comment may have any character, and the last
/// value of a repeated property counts.
/// </summary>
/// <remarks>
/// System.Text.Json is not used, because it refuses U+2028 in comments, and quotes the file in its messages. The generator compiles
/// this file too, and not every compiler that runs the generator can load System.Text.Json.
/// </remarks>
internal sealed class JsonConfigReader
{
    /// <summary>The deepest nesting of values, which limits the recursion.</summary>
    public const int DepthMax = 500;

    private const string NotJson = "not JSON: ";

    private readonly string _text;
    private readonly FileLines _lines;
    private int _at;

    private JsonConfigReader(string text, FileLines lines)
    {
        _text = text;
        _lines = lines;
    }

    /// <summary>Reads the one value of a file.</summary>
    /// <exception cref="ConfigSyntaxException">The text is not JSON.</exception>
    public static ConfigNode Read(string text, FileLines lines)
    {
        var reader = new JsonConfigReader(text, lines);
        reader.SkipTrivia();
        var value = reader.ReadValue(depth: 0);
        reader.SkipTrivia();
        return reader._at == text.Length ? value : throw reader.Error(reader._at, "the file must end here");
    }

    private ConfigNode ReadValue(int depth)
    {
        if (depth > DepthMax)
        {
            throw Error(_at, string.Format(CultureInfo.InvariantCulture, "values may be nested {0} deep", DepthMax));
        }

        var start = _at;
        switch (Current)
        {
            case '{':
                return ReadObject(depth);
            case '[':
                return ReadArray(depth);
            case '"':
                var text = ReadText();
                return new ConfigNode(ConfigKind.Text, _lines.At(start, _at - start), text);
            case '-' or (>= '0' and <= '9'):
                SkipNumber();
                return new ConfigNode(ConfigKind.Other, _lines.At(start, _at - start));
            default:
                return ReadWord();
        }
    }

    private ConfigNode ReadObject(int depth)
    {
        var node = new ConfigNode(ConfigKind.Object, _lines.At(_at, 1));
        _at++;
        SkipTrivia();
        while (Current != '}')
        {
            if (Current != '"')
            {
                throw Error(_at, "the name of a property in double quotes is expected, or '}'");
            }

            var name = ReadText();
            SkipTrivia();
            Expect(':', "':' is expected");
            node.Set(name, ReadValue(depth + 1));
            SkipTrivia();
            if (Current != '}')
            {
                Expect(',', "',' or '}' is expected");
            }
        }

        _at++;
        return node;
    }

    private ConfigNode ReadArray(int depth)
    {
        var node = new ConfigNode(ConfigKind.Array, _lines.At(_at, 1));
        _at++;
        SkipTrivia();
        while (Current != ']')
        {
            node.Add(ReadValue(depth + 1));
            SkipTrivia();
            if (Current != ']')
            {
                Expect(',', "',' or ']' is expected");
            }
        }

        _at++;
        return node;
    }

    private ConfigNode ReadWord()
    {
        var start = _at;
        while (_at < _text.Length && IsWordCharacter(_text[_at]))
        {
            _at++;
        }

        return _text.Substring(start, _at - start) switch
        {
            "true" or "false" => new ConfigNode(ConfigKind.Boolean, _lines.At(start, _at - start)),
            "null" => new ConfigNode(ConfigKind.Null, _lines.At(start, _at - start)),
            _ => throw Error(start, "a value is expected"),
        };
    }

    // Reads up to a space or a punctuation mark of JSON, so that "truex" is one wrong word.
    private static bool IsWordCharacter(char c) => c is not (' ' or '\t' or '\r' or '\n' or '{' or '}' or '[' or ']' or '"' or ':' or ',' or '/');

    private void SkipNumber()
    {
        var start = _at;
        if (Current == '-')
        {
            _at++;
        }

        if (Current == '0')
        {
            _at++;
        }
        else
        {
            SkipDigits(start);
        }

        if (Current == '.')
        {
            _at++;
            SkipDigits(start);
        }

        if (Current is 'e' or 'E')
        {
            _at++;
            if (Current is '+' or '-')
            {
                _at++;
            }

            SkipDigits(start);
        }

        if (_at < _text.Length && IsWordCharacter(_text[_at]))
        {
            throw Error(start, "a number is expected");
        }
    }

    private void SkipDigits(int start)
    {
        if (Current is not (>= '0' and <= '9'))
        {
            throw Error(start, "a number is expected");
        }

        while (Current is >= '0' and <= '9')
        {
            _at++;
        }
    }

    private string ReadText()
    {
        var start = _at;
        var text = new StringBuilder();
        for (_at++; ; _at++)
        {
            if (_at == _text.Length || Current is '\r' or '\n')
            {
                throw Error(start, "the text that begins here must end on the same line");
            }

            switch (Current)
            {
                case '"':
                    _at++;
                    return text.ToString();
                case '\\':
                    text.Append(ReadEscape());
                    break;
                case < ' ':
                    throw Error(_at, "a control character in a text must be escaped");
                default:
                    text.Append(Current);
                    break;
            }
        }
    }

    // Begins at the backslash and ends at the last character of the escape.
    private char ReadEscape()
    {
        var start = _at++;
        switch (Current)
        {
            case '"' or '\\' or '/':
                return Current;
            case 'b':
                return '\b';
            case 'f':
                return '\f';
            case 'n':
                return '\n';
            case 'r':
                return '\r';
            case 't':
                return '\t';
            case 'u' when _at + 4 < _text.Length && TryHex(_at + 1, out var unit):
                _at += 4;
                return unit;
            default:
                throw Error(start, "an escape is one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\u with four hexadecimal digits");
        }
    }

    private bool TryHex(int start, out char unit)
    {
        var value = 0;
        for (var i = start; i < start + 4; i++)
        {
            var digit = _text[i] switch
            {
                >= '0' and <= '9' => _text[i] - '0',
                >= 'a' and <= 'f' => _text[i] - 'a' + 10,
                >= 'A' and <= 'F' => _text[i] - 'A' + 10,
                _ => -1,
            };
            if (digit < 0)
            {
                unit = '\0';
                return false;
            }

            value = (value * 16) + digit;
        }

        unit = (char)value;
        return true;
    }

    private void Expect(char sign, string what)
    {
        if (Current != sign)
        {
            throw Error(_at, what);
        }

        _at++;
        SkipTrivia();
    }

    private void SkipTrivia()
    {
        while (true)
        {
            if (Current is ' ' or '\t' or '\r' or '\n')
            {
                _at++;
            }
            else if (Current == '/' && Next == '/')
            {
                while (_at < _text.Length && Current is not ('\r' or '\n'))
                {
                    _at++;
                }
            }
            else if (Current == '/' && Next == '*')
            {
                var end = _text.IndexOf("*/", _at + 2, StringComparison.Ordinal);
                _at = end >= 0 ? end + 2 : throw Error(_at, "the comment that begins here must end with */");
            }
            else
            {
                return;
            }
        }
    }

    // NUL means the end. A NUL in the file is an error at every call of these, as the end is.
    private char Current => _at < _text.Length ? _text[_at] : '\0';

    private char Next => _at + 1 < _text.Length ? _text[_at + 1] : '\0';

    private ConfigSyntaxException Error(int at, string what) => new(_lines.At(at), NotJson + what);
}
