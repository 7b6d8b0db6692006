using System.Globalization;
using System.Text;
using Microsoft.CodeAnalysis.CSharp;

namespace KvStore.Generators.Sources;

/// <summary>Text as it stands in code, in XML and in JSON.</summary>
internal static class Literals
{
    /// <summary>A string literal of C#.</summary>
    public static string CSharp(string text) => SymbolDisplay.FormatLiteral(text, quote: true);

    /// <summary>Text in a documentation comment, on one line.</summary>
    public static string Xml(string text)
    {
        var xml = new StringBuilder(text.Length);
        foreach (var c in text)
        {
            xml.Append(c switch
            {
                '<' => "&lt;",
                '>' => "&gt;",
                '&' => "&amp;",
                '\u0085' or '\u2028' or '\u2029' or < ' ' => "\uFFFD",
                _ => c.ToString(),
            });
        }

        return xml.ToString();
    }

    /// <summary>A string of JSON, in ASCII and without a quote inside.</summary>
    public static string Json(string text)
    {
        var json = new StringBuilder(text.Length + 2).Append('"');
        foreach (var c in text)
        {
            if (c is '"' or '\\' or < ' ' or > '~')
            {
                json.Append("\\u").Append(((int)c).ToString("x4", CultureInfo.InvariantCulture));
            }
            else
            {
                json.Append(c);
            }
        }

        return json.Append('"').ToString();
    }
}
