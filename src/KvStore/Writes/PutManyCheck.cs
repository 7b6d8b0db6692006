using System.Text;
using KvStore.Keys;
using KvStore.Rules;

namespace KvStore.Writes;

/// <summary>Checks all entries of a call before the first is written. Thread safety: all members, from any thread.</summary>
internal sealed class PutManyCheck(KvLimits limits, WritePath writes, CommitPath commit)
{
    /// <summary>Checks keys, contents and options, and the limits of the namespace. Changes nothing.</summary>
    /// <exception cref="ArgumentException">An entry has a key, a content or an option that is not allowed; the message says which.</exception>
    /// <exception cref="KvException">An entry breaks a limit; the message says which.</exception>
    public void Run(ReadOnlySpan<KvEntry> entries)
    {
        var current = 0;
        try
        {
            for (; current < entries.Length; current++)
            {
                Check(entries[current]);
            }

            if (commit.HasAdmission)
            {
                CheckAdmission(entries, out current);
            }
        }
        catch (Exception e) when (e is KvException or KvArgumentException)
        {
            throw NamedMany.WithEntry(e, current, entries[current].Key, NamedMany.Nothing("written"));
        }
        catch (ArgumentNullException)
        {
            throw new ArgumentException(Invariant($"Entry {current} has no key: it is null. {NamedMany.Nothing("written")}"), nameof(entries));
        }
    }

    private void Check(in KvEntry entry)
    {
        if (!KeyRules.TryAscii(entry.Key, limits.KeyBytesMax, out _))
        {
            using var encoded = new EncodedKey(entry.Key, limits.KeyBytesMax, "PUT", stackalloc byte[EncodedKey.StackBytes]);
        }

        var content = entry.Content;
        if (content.IsDefault)
        {
            throw NoContent("content");
        }

        if (content.Stream is { CanSeek: true } stream)
        {
            ValueLimit.Check(stream.Length - stream.Position, limits.ValueBytesMax);
        }
        else if (content.Text is { } text)
        {
            // No UTF-16 unit takes more than three bytes, so that most text need not be counted.
            ValueLimit.Check(text.Length * 3L > limits.ValueBytesMax ? Encoding.UTF8.GetByteCount(text) : 0, limits.ValueBytesMax);
        }
        else
        {
            ValueLimit.Check(content.Bytes.Length, limits.ValueBytesMax);
        }

        if (entry.Options is not null)
        {
            writes.OptionsOf(entry.Key, entry.Options);
        }
    }

    // The name is that of the parameter of a put.
    private static KvArgumentException NoContent(string paramName) => new(NamedEntry.DefaultContent, paramName);

    // The length of a stream is not known: it is checked when the stream was read.
    private void CheckAdmission(ReadOnlySpan<KvEntry> entries, out int current)
    {
        current = 0;
        var keys = new byte[entries.Length][];
        var bytes = new long[entries.Length];
        for (var i = 0; i < entries.Length; i++)
        {
            keys[i] = Encoding.UTF8.GetBytes(entries[i].Key);
            bytes[i] = keys[i].Length + writes.OptionsOf(entries[i].Key, entries[i].Options).Metadata.Length + ValueBytesOf(entries[i].Content);
        }

        commit.CheckMany("PUT", keys, bytes, ref current);
    }

    private static int ValueBytesOf(KvContent content) => content.Text is { } text ? Encoding.UTF8.GetByteCount(text) : content.Bytes.Length;
}
