using System.Globalization;
using System.Text;
using Microsoft.CodeAnalysis.CSharp;

namespace KvStore.Generators;

/// <summary>Makes identifiers of C# from what need not be one.</summary>
internal static class Identifiers
{
    /// <summary>An identifier as it is written: a keyword with an '@'.</summary>
    public static string Escape(string identifier) =>
        SyntaxFacts.GetKeywordKind(identifier) != SyntaxKind.None || SyntaxFacts.GetContextualKeywordKind(identifier) != SyntaxKind.None
            ? "@" + identifier
            : identifier;

    /// <summary>An identifier for any text, for example the name of a binding: what cannot stand in one becomes '_'.</summary>
    public static string Of(string text)
    {
        var identifier = new StringBuilder(text.Length);
        foreach (var c in text)
        {
            if (identifier.Length == 0 && !SyntaxFacts.IsIdentifierStartCharacter(c) && SyntaxFacts.IsIdentifierPartCharacter(c))
            {
                identifier.Append('_');
            }

            // The compiler ignores invisible characters: two identifiers that differ in them only are one.
            var isVisible = CharUnicodeInfo.GetUnicodeCategory(c) != UnicodeCategory.Format;
            identifier.Append(isVisible && SyntaxFacts.IsIdentifierPartCharacter(c) ? c : '_');
        }

        return identifier.Length == 0 ? "_" : identifier.ToString();
    }

    /// <summary>Identifiers of properties for texts: no two alike, none like the accessor of another, and none of those that are taken.</summary>
    public static IReadOnlyList<string> OfAll(IEnumerable<string> texts, params string[] taken)
    {
        var used = new HashSet<string>(taken, StringComparer.Ordinal);
        List<string> identifiers = [];
        foreach (var text in texts)
        {
            var identifier = Of(text);
            var unique = identifier;
            for (var i = 2; used.Contains(unique) || used.Contains(AccessorOf(unique)); i++)
            {
                unique = identifier + "_" + i.ToString(CultureInfo.InvariantCulture);
            }

            used.Add(unique);
            used.Add(AccessorOf(unique));
            identifiers.Add(unique);
        }

        return identifiers;
    }

    private static string AccessorOf(string property) => "get_" + property;

    /// <summary>A dotted namespace for any text, for example the name of a project.</summary>
    public static string Namespace(string text) =>
        string.Join(".", text.Split('.').Where(static part => part.Length > 0).Select(static part => Escape(Of(part))));
}
