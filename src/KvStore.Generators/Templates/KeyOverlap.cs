namespace KvStore.Generators.Templates;

/// <summary>Whether two templates can make the same key.</summary>
internal static class KeyOverlap
{
    private const string Hexadecimal = "0123456789ABCDEF";

    /// <summary>True when there may be a key that both make.</summary>
    /// <remarks>
    /// Walks through both at once. A placeholder stands for any number of its characters, which is more than it can make: so this may
    /// warn without need, and never fails to. A template has at most some hundred characters, so the square of that is little.
    /// </remarks>
    public static bool Exists(KeyTemplate left, IReadOnlyList<KeyParameter> leftParameters, KeyTemplate right, IReadOnlyList<KeyParameter> rightParameters)
    {
        var a = Steps(left, leftParameters);
        var b = Steps(right, rightParameters);
        var seen = new HashSet<(int, int)>();
        var todo = new Stack<(int, int)>();
        todo.Push((0, 0));
        while (todo.Count > 0)
        {
            var (i, j) = todo.Pop();
            if (!seen.Add((i, j)))
            {
                continue;
            }

            if (i == a.Count && j == b.Count)
            {
                return true;
            }

            var x = i < a.Count ? a[i] : null;
            var y = j < b.Count ? b[j] : null;
            if (x is { Literal: null })
            {
                todo.Push((i + 1, j));
            }

            if (y is { Literal: null })
            {
                todo.Push((i, j + 1));
            }

            if (x is { Literal: { } c } && y is { Literal: { } d } && c == d)
            {
                todo.Push((i + 1, j + 1));
            }
            else if (x is { Literal: { } e } && y is { Literal: null } && y.May(e))
            {
                todo.Push((i + 1, j));
            }
            else if (y is { Literal: { } f } && x is { Literal: null } && x.May(f))
            {
                todo.Push((i, j + 1));
            }
        }

        return false;
    }

    private static List<Step> Steps(KeyTemplate template, IReadOnlyList<KeyParameter> parameters)
    {
        var special = template.Special();
        List<Step> steps = [];
        for (var i = 0; i < template.Literals.Count; i++)
        {
            steps.AddRange(template.Literals[i].Select(static c => new Step(c, null, "")));
            if (i < template.Placeholders.Count)
            {
                var name = template.Placeholders[i];
                steps.Add(new Step(null, parameters.First(parameter => parameter.Name == name).Characters, special));
            }
        }

        return steps;
    }

    // One character, or any number of an argument's.
    private sealed record Step(char? Literal, string? Characters, string Special)
    {
        public bool May(char c)
        {
            if (c == '%' || Characters is null)
            {
                // An escape, or any text: all but what is escaped.
                return c == '%' || Special.IndexOf(c) < 0;
            }

            var isEscaped = Characters.Any(own => Special.IndexOf(own) >= 0);
            return (Characters.IndexOf(c) >= 0 && Special.IndexOf(c) < 0) || (isEscaped && (Hexadecimal.IndexOf(c) >= 0 || c == 'u'));
        }
    }
}
