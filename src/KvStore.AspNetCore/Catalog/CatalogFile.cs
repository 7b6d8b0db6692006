using System.Buffers;
using System.Text.Json;

namespace KvStore.Catalog;

/// <summary>The catalog file: JSON that is replaced as a whole, so that a crash leaves the old content or the new one.</summary>
/// <remarks>For one caller at a time. The directory is locked while the file is open.</remarks>
internal sealed class CatalogFile(KvDirectory directory) : IDisposable
{
    private const string FileName = "catalog.json";
    private const int FormatVersion = 1;

    /// <summary>Locks the directory of a catalog.</summary>
    /// <exception cref="KvDirectoryLockedException">Another process has locked it.</exception>
    /// <exception cref="KvPersistenceException">It is the directory of a namespace. Nothing in it has changed.</exception>
    public static CatalogFile Open(string path)
    {
        if (!File.Exists(Path.Combine(path, FileName)) && KvDirectory.HoldsNamespace(path))
        {
            throw new KvPersistenceException(
                $"{path} belongs to a namespace: it cannot hold a catalog of namespaces as well. Give the catalog a directory of its own.");
        }

        return new CatalogFile(new KvDirectory(path));
    }

    /// <summary>Reads the file. Without a file, the catalog is empty.</summary>
    /// <exception cref="KvDamagedFileException">The file is not a catalog file.</exception>
    public CatalogContent Read()
    {
        if (directory.Read(FileName) is not { } bytes)
        {
            return CatalogContent.Empty;
        }

        try
        {
            using var json = JsonDocument.Parse(bytes);
            var root = json.RootElement;
            if (root.GetProperty("version").GetInt32() is var version and not FormatVersion)
            {
                throw new FormatException(Invariant($"it has version {version}, and this program knows {FormatVersion}"));
            }

            return new CatalogContent(
                [.. root.GetProperty("namespaces").EnumerateArray().Select(entry => new CatalogLine(IdOf(entry.GetProperty("id")), entry.GetProperty("title").GetString()!))],
                [.. root.GetProperty("deleting").EnumerateArray().Select(IdOf)]);
        }
        catch (FormatException e)
        {
            throw new KvDamagedFileException(directory.PathOf(FileName), 0, e.Message);
        }
        catch (JsonException e)
        {
            // Without the message of the reader, which quotes the file.
            var place = e is { LineNumber: { } line, BytePositionInLine: { } at } ? Invariant($". It breaks in line {line + 1}, at byte {at + 1}") : "";
            throw new KvDamagedFileException(directory.PathOf(FileName), 0, "it is not JSON" + place);
        }
        catch (Exception e) when (e is InvalidOperationException or KeyNotFoundException)
        {
            throw new KvDamagedFileException(directory.PathOf(FileName), 0, "it is not a catalog of namespaces");
        }
    }

    /// <summary>Replaces the content. When the method returns, the new content survives a power cut.</summary>
    public void Write(CatalogContent content)
    {
        var bytes = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(bytes, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteNumber("version"u8, FormatVersion);
            json.WriteStartArray("namespaces"u8);
            foreach (var line in content.Namespaces)
            {
                json.WriteStartObject();
                json.WriteString("id"u8, line.Id);
                json.WriteString("title"u8, line.Title);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteStartArray("deleting"u8);
            foreach (var id in content.Deleting)
            {
                json.WriteStringValue(id);
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        directory.Replace(FileName, bytes.WrittenSpan);
    }

    public void Dispose() => directory.Dispose();

    // The id becomes the name of a directory that may be deleted, so nothing else is accepted.
    private static string IdOf(JsonElement json) =>
        json.GetString() is { } id && NamespaceId.IsWellFormed(id) ? id : throw new FormatException("an \"id\" is not 32 hexadecimal digits");
}
