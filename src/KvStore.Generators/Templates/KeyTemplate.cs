using System.Text;
using KvStore.Generators.Model;

namespace KvStore.Generators.Templates;

/// <summary>A key template, taken apart: the placeholders, and the literals before, between and after them.</summary>
internal sealed record KeyTemplate(string Text, EquatableArray<string> Literals, EquatableArray<string> Placeholders)
{
    /// <summary>The bytes of UTF-8 that the literals take.</summary>
    public int LiteralBytes => Literals.Sum(static literal => Encoding.UTF8.GetByteCount(literal));

    /// <summary>Reads a template.</summary>
    /// <param name="text">The template.</param>
    /// <param name="at">Where it is wrong, counted from 1.</param>
    /// <param name="problem">What is wrong, or null.</param>
    public static KeyTemplate? Parse(string text, out int at, out string? problem)
    {
        List<string> literals = [];
        List<string> placeholders = [];
        var literal = new StringBuilder();
        for (var i = 0; i < text.Length; i++)
        {
            at = i + 1;
            if (text[i] is not ('{' or '}'))
            {
                literal.Append(text[i]);
            }
            else if (i + 1 < text.Length && text[i + 1] == text[i])
            {
                literal.Append(text[i++]);
            }
            else if (text[i] == '}')
            {
                problem = "'}' closes nothing; write }} for a brace";
                return null;
            }
            else
            {
                var end = text.IndexOf('}', i);
                var name = end < 0 ? "" : text.Substring(i + 1, end - i - 1);
                if (!Microsoft.CodeAnalysis.CSharp.SyntaxFacts.IsValidIdentifier(name))
                {
                    problem = "'{' must begin the name of a parameter that '}' ends; write {{ for a brace";
                    return null;
                }

                if (placeholders.Contains(name))
                {
                    problem = "a placeholder stands in a template once";
                    return null;
                }

                literals.Add(literal.ToString());
                literal.Clear();
                placeholders.Add(name);
                i = end;
            }
        }

        literals.Add(literal.ToString());
        at = 1;
        problem = ProblemOf(text);
        return problem is null ? new KeyTemplate(text, new(literals), new(placeholders)) : null;
    }

    /// <summary>The first placeholder behind which no argument would end, or null.</summary>
    public string? Undivided()
    {
        for (var i = 0; i < Placeholders.Count; i++)
        {
            var next = Literals[i + 1];
            if (next.Length == 0 ? i < Placeholders.Count - 1 : !IsDelimiter(next[0]))
            {
                return Placeholders[i];
            }
        }

        return null;
    }

    /// <summary>Whether a character is escaped in arguments where a literal has it. The library's KvKeyTemplate has the same rule.</summary>
    public static bool IsDelimiter(char c) =>
        c != '%' && !char.IsSurrogate(c) && c is not ((>= 'a' and <= 'z') or (>= 'A' and <= 'Z') or (>= '0' and <= '9'));

    /// <summary>The characters that are escaped in arguments.</summary>
    public string Special() => string.Concat(Literals.SelectMany(static literal => literal).Where(IsDelimiter).Concat(['%']).Distinct());

    private static string? ProblemOf(string text)
    {
        if (text.Length == 0)
        {
            return "it is empty";
        }

        if (text is "." or "..")
        {
            return "'.' and '..' cannot be keys";
        }

        for (var i = 0; i < text.Length; i++)
        {
            if (char.IsHighSurrogate(text[i]) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1]))
            {
                i++;
            }
            else if (char.IsSurrogate(text[i]))
            {
                return "it holds half of a surrogate pair";
            }
        }

        return null;
    }
}
