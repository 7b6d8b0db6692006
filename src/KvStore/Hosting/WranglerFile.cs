using System.Text;
using System.Text.Json;

namespace KvStore.Hosting;

/// <summary>Reads the bindings of a Wrangler configuration, and says where in the file something is wrong.</summary>
internal static class WranglerFile
{
    private static readonly JsonReaderOptions s_options = new()
    {
        CommentHandling = JsonCommentHandling.Skip,
        AllowTrailingCommas = true,
    };

    /// <summary>The bindings of <c>kv_namespaces</c>, in order. None when the file has no such array.</summary>
    public static List<Binding> Read(string path)
    {
        if (!File.Exists(path))
        {
            throw new FileNotFoundException($"There is no Wrangler configuration at {Path.GetFullPath(path)}.", path);
        }

        var bytes = File.ReadAllBytes(path).AsSpan();
        var json = bytes.StartsWith(Encoding.UTF8.Preamble) ? bytes[Encoding.UTF8.Preamble.Length..] : bytes;
        try
        {
            var reader = new Utf8JsonReader(json, s_options);
            return ReadFile(ref reader, path, json);
        }
        catch (JsonException e)
        {
            throw new InvalidDataException(Invariant($"{path}({e.LineNumber + 1},{e.BytePositionInLine + 1}): not JSON: {e.Message}"), e);
        }
    }

    private static List<Binding> ReadFile(ref Utf8JsonReader reader, string path, ReadOnlySpan<byte> json)
    {
        var bindings = new List<Binding>();
        reader.Read();
        Expect(ref reader, JsonTokenType.StartObject, "the file must hold one object", path, json);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (!IsProperty(ref reader, "kv_namespaces"u8, path, json))
            {
                reader.Skip();
                continue;
            }

            reader.Read();
            Expect(ref reader, JsonTokenType.StartArray, "\"kv_namespaces\" must be an array of objects", path, json);
            while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            {
                bindings.Add(ReadEntry(ref reader, path, json));
            }
        }

        // What follows the object must be the end of the file.
        while (reader.Read())
        {
        }

        return bindings;
    }

    private static Binding ReadEntry(ref Utf8JsonReader reader, string path, ReadOnlySpan<byte> json)
    {
        Expect(ref reader, JsonTokenType.StartObject, "an entry of \"kv_namespaces\" must be an object", path, json);
        var start = reader.TokenStartIndex;
        Binding? binding = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (!IsProperty(ref reader, "binding"u8, path, json))
            {
                reader.Skip();
                continue;
            }

            reader.Read();
            Expect(ref reader, JsonTokenType.String, "\"binding\" must be a text", path, json);
            var (line, column) = PositionOf(json, reader.TokenStartIndex);
            binding = new Binding(NameOf(ref reader, path, json), line, column);
        }

        return binding ?? throw Error("an entry of \"kv_namespaces\" has no \"binding\"", path, json, start);
    }

    private static string NameOf(ref Utf8JsonReader reader, string path, ReadOnlySpan<byte> json)
    {
        try
        {
            var name = reader.GetString();
            return string.IsNullOrWhiteSpace(name) ? throw Error("\"binding\" is empty", path, json, reader.TokenStartIndex) : name;
        }
        catch (InvalidOperationException)
        {
            throw Error("\"binding\" holds what is not Unicode", path, json, reader.TokenStartIndex);
        }
    }

    private static bool IsProperty(ref Utf8JsonReader reader, ReadOnlySpan<byte> name, string path, ReadOnlySpan<byte> json)
    {
        try
        {
            return reader.ValueTextEquals(name);
        }
        catch (InvalidOperationException)
        {
            throw Error("the name of a property holds what is not Unicode", path, json, reader.TokenStartIndex);
        }
    }

    private static void Expect(ref Utf8JsonReader reader, JsonTokenType type, string what, string path, ReadOnlySpan<byte> json)
    {
        if (reader.TokenType != type)
        {
            throw Error(what, path, json, reader.TokenStartIndex);
        }
    }

    private static InvalidDataException Error(string what, string path, ReadOnlySpan<byte> json, long index)
    {
        var (line, column) = PositionOf(json, index);
        return new InvalidDataException(Invariant($"{path}({line},{column}): {what}."));
    }

    private static (int Line, int Column) PositionOf(ReadOnlySpan<byte> json, long index)
    {
        var before = json[..(int)index];
        return (before.Count((byte)'\n') + 1, before.Length - before.LastIndexOf((byte)'\n'));
    }

    /// <summary>A binding and where it stands, counted from 1.</summary>
    internal readonly record struct Binding(string Name, int Line, int Column);
}
