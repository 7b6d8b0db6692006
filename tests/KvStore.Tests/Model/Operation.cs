using System.Text;

namespace KvStore.Tests.Model;

/// <summary>One step of a run of the model, complete with its arguments, so that it can be repeated and printed.</summary>
internal abstract record Operation
{
    /// <summary>How the value of a put is handed over.</summary>
    public enum Source
    {
        Text,
        Bytes,
        Stream,
        Pipe,
    }

    /// <summary>How one key is read.</summary>
    public enum Reading
    {
        Entry,
        Text,
        Synchronous,
        SynchronousUtf8,
    }

    /// <summary>The condition of a write.</summary>
    public enum Condition
    {
        Absent,
        Present,
        Current,
        Older,
    }

    /// <summary>Puts a value whose content follows from its stamp and length.</summary>
    public sealed record Put(string Key, int Stamp, int ValueBytes, Source From, KvPutOptions? Options) : Operation
    {
        public override string ToString() =>
            $"put {Quote(Key)}: value {Stamp} of {ValueBytes} bytes as {From}, ttl {Options?.ExpirationTtl}, expiration {Options?.Expiration:u}, "
            + $"metadata {Options?.Metadata}";
    }

    public sealed record Delete(string Key) : Operation
    {
        public override string ToString() => $"delete {Quote(Key)}";
    }

    /// <summary>Puts a text that follows from its stamp, on a condition.</summary>
    public sealed record TryPut(string Key, int Stamp, Condition When, KvPutOptions? Options) : Operation
    {
        public override string ToString() => $"put {Quote(Key)} when {When}: value {Stamp}, ttl {Options?.ExpirationTtl}";
    }

    public sealed record TryDelete(string Key, Condition When) : Operation
    {
        public override string ToString() => $"delete {Quote(Key)} when {When}";
    }

    public sealed record Touch(string Key, TimeSpan? ExpirationTtl) : Operation
    {
        public override string ToString() => $"touch {Quote(Key)}: ttl {ExpirationTtl}";
    }

    /// <summary>Puts texts that follow from their stamps, with one call.</summary>
    public sealed record PutMany(IReadOnlyList<(string Key, int Stamp, KvPutOptions? Options)> Entries) : Operation
    {
        public override string ToString() =>
            $"put many {string.Join(", ", Entries.Select(entry => $"{Quote(entry.Key)} {entry.Stamp} ttl {entry.Options?.ExpirationTtl}"))}";
    }

    public sealed record DeleteMany(IReadOnlyList<string> Keys) : Operation
    {
        public override string ToString() => $"delete many {string.Join(", ", Keys.Select(Quote))}";
    }

    public sealed record DeletePrefix(string Prefix) : Operation
    {
        public override string ToString() => $"delete prefix {Quote(Prefix)}";
    }

    /// <summary>The first entries of a scan.</summary>
    public sealed record Scan(string? Prefix, int Count) : Operation
    {
        public override string ToString() => $"scan {Count} of prefix {(Prefix is null ? "none" : Quote(Prefix))}";
    }

    public sealed record Advance(TimeSpan Span) : Operation
    {
        public override string ToString() => $"advance {Span.TotalSeconds} s";
    }

    public sealed record Get(string Key, Reading As) : Operation
    {
        public override string ToString() => $"get {Quote(Key)} as {As}";
    }

    public sealed record GetMany(IReadOnlyList<string> Keys) : Operation
    {
        public override string ToString() => $"get many {string.Join(", ", Keys.Select(Quote))}";
    }

    /// <summary>The first page of a listing.</summary>
    public sealed record List(string? Prefix, int? Limit) : Operation
    {
        public override string ToString() => $"list prefix {(Prefix is null ? "none" : Quote(Prefix))}, limit {Limit}";
    }

    /// <summary>A further page from one of the cursors that earlier pages gave, perhaps with another prefix.</summary>
    public sealed record NextPage(int Cursor, bool KeepsPrefix, string? OtherPrefix, int? Limit) : Operation
    {
        public override string ToString() =>
            $"next page of cursor {Cursor}, prefix {(KeepsPrefix ? "as before" : OtherPrefix is null ? "none" : Quote(OtherPrefix))}, limit {Limit}";
    }

    private static string Quote(string text)
    {
        var quoted = new StringBuilder("\"");
        foreach (var unit in text)
        {
            quoted.Append(unit is >= ' ' and < '\u007F' and not '"' and not '\\' ? unit : $"\\u{(int)unit:X4}");
        }

        return quoted.Append('"').ToString();
    }
}
