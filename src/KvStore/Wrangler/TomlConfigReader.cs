using Tomlyn.Parsing;
using Tomlyn.Syntax;

namespace KvStore.Wrangler;

/// <summary>Reads TOML with the syntax tree of Tomlyn. Refuses syntax that only TOML 1.1 allows, because wrangler reads TOML 1.0.</summary>
internal static class TomlConfigReader
{
    private const char Replacement = '\uFFFD';
    private const char PrivateUseFirst = '\uE000';
    private const char PrivateUseLast = '\uF8FF';

    /// <summary>Reads a file.</summary>
    /// <exception cref="ConfigSyntaxException">The text is not TOML.</exception>
    public static ConfigNode Read(string text, FileLines lines)
    {
        // Bytes that are not UTF-8 were read as U+FFFD, which TOML allows in texts and comments, and Tomlyn does not.
        var standIn = StandInFor(text);
        var parsed = text.Replace(Replacement, standIn);
        var document = SyntaxParser.Parse(parsed, sourceName: "", validate: true);
        if (document.HasErrors)
        {
            // Not the message of the parser, which quotes the file.
            throw Error(document.Diagnostics.Where(static d => d.Kind == DiagnosticMessageKind.Error).Min(static d => d.Span.Start.Offset), lines, "a key, a table or a value cannot be read, or is given twice");
        }

        var root = new ConfigNode(ConfigKind.Object, lines.At(0));
        foreach (var pair in document.KeyValues)
        {
            Assign(root, pair, lines);
        }

        foreach (var table in document.Tables)
        {
            var target = table is TableArraySyntax ? Append(root, table, lines) : Step(root, PathOf(table.Name!, lines), PositionOf(table.Name!, lines));
            foreach (var pair in table.Items)
            {
                Assign(target, pair, lines);
            }
        }

        return parsed == text ? root : Restore(root, standIn);
    }

    // A character that the file does not have, of as many UTF-16 units, so that positions stay.
    private static char StandInFor(string text)
    {
        var standIn = PrivateUseFirst;
        while (Enumerable.Contains(text, standIn) && standIn < PrivateUseLast)
        {
            standIn++;
        }

        return standIn;
    }

    private static ConfigNode Restore(ConfigNode node, char standIn)
    {
        var restored = new ConfigNode(node.Kind, node.Position, node.Text?.Replace(standIn, Replacement));
        foreach (var item in node.Items)
        {
            restored.Add(Restore(item, standIn));
        }

        foreach (var name in node.Names)
        {
            restored.Set(name.Replace(standIn, Replacement), Restore(node.Find(name)!, standIn));
        }

        return restored;
    }

    private static void Assign(ConfigNode table, KeyValueSyntax pair, FileLines lines)
    {
        var path = PathOf(pair.Key!, lines);
        var last = path.Count - 1;
        Step(table, path.GetRange(0, last), PositionOf(pair.Key!, lines)).Set(path[last], ValueOf(pair.Value!, lines));
    }

    private static ConfigNode Append(ConfigNode root, TableSyntaxBase table, FileLines lines)
    {
        var path = PathOf(table.Name!, lines);
        var position = PositionOf(table.Name!, lines);
        var last = path.Count - 1;
        var parent = Step(root, path.GetRange(0, last), position);
        var array = parent.Find(path[last]);
        if (array is null)
        {
            array = new ConfigNode(ConfigKind.Array, position);
            parent.Set(path[last], array);
        }

        var item = new ConfigNode(ConfigKind.Object, position);
        array.Add(item);
        return item;
    }

    // Finds a table, and creates the tables above it that are not in the file. In an array of tables it takes the last.
    private static ConfigNode Step(ConfigNode table, List<string> path, FilePosition position)
    {
        foreach (var name in path)
        {
            var next = table.Find(name);
            if (next is null)
            {
                next = new ConfigNode(ConfigKind.Object, position);
                table.Set(name, next);
            }

            table = next.Kind == ConfigKind.Array && next.Items.Count > 0 ? next.Items[next.Items.Count - 1] : next;
            if (table.Kind != ConfigKind.Object)
            {
                throw new ConfigSyntaxException(position, NotToml + "this is not a table");
            }
        }

        return table;
    }

    private static ConfigNode ValueOf(ValueSyntax value, FileLines lines)
    {
        var position = PositionOf(value, lines);
        switch (value)
        {
            case StringValueSyntax text:
                CheckEscapes(text.Token!, lines);
                return new ConfigNode(ConfigKind.Text, position, text.Value ?? "");
            case BooleanValueSyntax:
                return new ConfigNode(ConfigKind.Boolean, position);
            case ArraySyntax items:
                var array = new ConfigNode(ConfigKind.Array, position);
                foreach (var item in items.Items)
                {
                    array.Add(ValueOf(item.Value!, lines));
                }

                return array;
            case InlineTableSyntax pairs:
                CheckIsOnOneLine(pairs, lines);
                var table = new ConfigNode(ConfigKind.Object, position);
                foreach (var item in pairs.Items)
                {
                    Assign(table, item.KeyValue!, lines);
                }

                return table;
            default:
                return new ConfigNode(ConfigKind.Other, position);
        }
    }

    private static List<string> PathOf(KeySyntax key, FileLines lines)
    {
        List<string> path = [NameOf(key.Key!, lines)];
        foreach (var item in key.DotKeys)
        {
            path.Add(NameOf(item.Key!, lines));
        }

        return path;
    }

    private static string NameOf(BareKeyOrStringValueSyntax key, FileLines lines)
    {
        if (key is StringValueSyntax text)
        {
            CheckEscapes(text.Token!, lines);
            return text.Value ?? "";
        }

        return ((BareKeySyntax)key).Key?.Text ?? "";
    }

    // TOML 1.0 allows neither a line end nor a trailing comma in an inline table. An array in the table may have both.
    private static void CheckIsOnOneLine(InlineTableSyntax table, FileLines lines)
    {
        var line = lines.At(table.OpenBrace!.Span.Start.Offset).Line;
        InlineTableItemSyntax? last = null;
        foreach (var item in table.Items)
        {
            var pair = item.KeyValue!;
            Check(pair.Key!.Span.Start.Offset);
            line = lines.At(pair.Value!.Span.End.Offset).Line;
            if (item.Comma is { } comma)
            {
                Check(comma.Span.Start.Offset);
            }

            last = item;
        }

        Check(table.CloseBrace!.Span.Start.Offset);
        if (last?.Comma is { } trailing)
        {
            throw Error(trailing.Span.Start.Offset, lines, "an inline table has no comma behind its last value");
        }

        void Check(int offset)
        {
            if (lines.At(offset).Line != line)
            {
                throw Error(offset, lines, "an inline table stands on one line");
            }
        }
    }

    // TOML 1.0 does not have the escapes \e and \x.
    private static void CheckEscapes(SyntaxToken token, FileLines lines)
    {
        if (token.TokenKind is not (TokenKind.String or TokenKind.StringMulti))
        {
            return;
        }

        var text = token.Text ?? "";
        for (var i = text.IndexOf('\\'); i >= 0 && i + 1 < text.Length; i = i + 2 < text.Length ? text.IndexOf('\\', i + 2) : -1)
        {
            if (text[i + 1] is 'e' or 'x')
            {
                throw Error(token.Span.Start.Offset + i, lines, "an escape is one of \\\" \\\\ \\b \\f \\n \\r \\t, \\u and \\U");
            }
        }
    }

    private static FilePosition PositionOf(SyntaxNode node, FileLines lines)
    {
        var span = node.Span;
        return lines.At(span.Start.Offset, span.End.Offset - span.Start.Offset + 1);
    }

    private const string NotToml = "not TOML: ";

    private static ConfigSyntaxException Error(int offset, FileLines lines, string what) => new(lines.At(offset), NotToml + what);
}
