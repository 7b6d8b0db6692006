using System.Buffers;
using System.Text.Json;
using KvStore.Json;
using KvStore.Persistence.Log;
using KvStore.Persistence.Storage;

namespace KvStore.Catalog;

/// <summary>
/// The catalogue on the disk: one JSON file, replaced as a whole. It is written under another name, flushed, renamed, and the
/// directory flushed, so that a crash at any point leaves the old one or the new one.
/// </summary>
/// <remarks>For one caller at a time; the directory is locked while it is open.</remarks>
internal sealed class CatalogFile : IDisposable
{
    private const string FileName = "catalog.json";
    private const string NewFileName = "catalog.json.new";
    private const int FormatVersion = 1;

    private readonly IStorage _storage;
    private readonly IDisposable _lock;

    /// <summary>Opens the directory and locks it.</summary>
    /// <exception cref="KvDirectoryLockedException">Somebody has it open.</exception>
    /// <exception cref="KvPersistenceException">It is the directory of a namespace. Nothing in it has changed.</exception>
    public CatalogFile(IStorage storage)
    {
        _storage = storage;
        if (!storage.Exists(FileName) && storage.List().FirstOrDefault(file => FileNames.TryParse(file.Name, out _, out _)) is { Name: { } name })
        {
            throw new KvPersistenceException(
                $"{storage.PathOf(name)} belongs to a namespace: its directory cannot hold a catalog of namespaces as well.");
        }

        _lock = storage.Lock();
    }

    /// <summary>What the file says; nothing when there is none yet.</summary>
    /// <exception cref="KvDamagedFileException">It cannot be understood.</exception>
    public CatalogContent Read()
    {
        if (!_storage.Exists(FileName))
        {
            return CatalogContent.Empty;
        }

        using var file = _storage.Open(FileName, isWritable: false);
        var bytes = new byte[file.Length];
        _ = file.Read(bytes, 0);
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
            throw new KvDamagedFileException(_storage.PathOf(FileName), 0, e.Message);
        }
        catch (JsonException e)
        {
            // Not with what the reader says: it quotes the file.
            throw new KvDamagedFileException(_storage.PathOf(FileName), 0, $"it is not JSON.{KvJson.PlaceOf(e)}".TrimEnd('.'));
        }
        catch (Exception e) when (e is InvalidOperationException or KeyNotFoundException)
        {
            throw new KvDamagedFileException(_storage.PathOf(FileName), 0, "it is not a catalogue of namespaces");
        }
    }

    /// <summary>Puts other content in the place of what there is. When it returns, the content survives a power cut.</summary>
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

        // One may be left of a write that a crash ended.
        _storage.Delete(NewFileName);
        using (var file = _storage.Create(NewFileName))
        {
            file.Write(bytes.WrittenSpan, 0);
            file.Flush();
        }

        _storage.Rename(NewFileName, FileName);
        _storage.FlushDirectory();
    }

    public void Dispose()
    {
        _lock.Dispose();
        _storage.Dispose();
    }

    // The id becomes the name of a directory that may be deleted, so nothing else gets in.
    private static string IdOf(JsonElement json) =>
        json.GetString() is { } id && NamespaceId.IsWellFormed(id) ? id : throw new FormatException("an \"id\" is not 32 hexadecimal digits");
}
