using System.IO.Pipelines;
using System.Text;

namespace KvStore.Tests.Model;

/// <summary>
/// A namespace and its model under one clock. Every operation goes to both, and both must answer the same; views that the
/// namespace gave out are looked at again long afterwards.
/// </summary>
internal sealed partial class SideBySide : IDisposable
{
    private const int CursorsMax = 16;
    private const int ViewsMax = 64;

    private static readonly KvLimits s_limits = new() { ExpirationTtlMin = TimeSpan.FromSeconds(1), ValueBytesMax = 4_900_000 };
    private static readonly byte[] s_noise = Noise();

    private readonly FakeTimeProvider _time = new(OperationSource.ManualStart);
    private readonly Func<KvNamespaceOptions, KvNamespace> _open;
    private readonly bool _completesAtOnce;
    private KvNamespace _actual;
    private readonly ReferenceStore _expected;
    private readonly List<(string? Prefix, string Actual, string Expected)> _cursors = [];
    private readonly List<(KvValue View, KvValue Copy)> _views = [];
    private int _turn;

    /// <summary>In memory, where no operation has to wait.</summary>
    public SideBySide()
        : this(static options => KvNamespace.Create("ACTUAL", options), completesAtOnce: true)
    {
    }

    /// <summary>A namespace of any kind.</summary>
    /// <param name="open">Opens the namespace, empty at first, with this clock and these limits.</param>
    /// <param name="completesAtOnce">Whether every operation must complete at once.</param>
    public SideBySide(Func<KvNamespaceOptions, KvNamespace> open, bool completesAtOnce)
    {
        (_open, _completesAtOnce) = (open, completesAtOnce);
        _expected = new ReferenceStore("EXPECTED", _time, s_limits);
        _actual = Open();
    }

    /// <summary>The namespace.</summary>
    public KvNamespace Actual => _actual;

    public void Dispose() => _actual.Dispose();

    /// <summary>Opens the namespace once more, with the same clock and limits.</summary>
    public KvNamespace Open() => _open(new KvNamespaceOptions { TimeProvider = _time, Limits = s_limits });

    /// <summary>Closes the namespace and opens it again; it must have what it had.</summary>
    public void Reopen()
    {
        _views.Clear();
        _actual.Dispose();
        _actual = Open();
        CompareAll();
    }

    /// <summary>Does the same on both sides.</summary>
    /// <exception cref="MismatchException">They answer differently.</exception>
    public void Apply(Operation operation)
    {
        switch (operation)
        {
            case Operation.Put put:
                Put(put);
                break;
            case Operation.Delete delete:
                Both(() => Done(_expected.DeleteAsync(delete.Key)), () => Done(_actual.DeleteAsync(delete.Key)));
                break;
            case Operation.TryPut put:
                TryPut(put);
                break;
            case Operation.TryDelete delete:
                TryDelete(delete);
                break;
            case Operation.Touch touch:
                Touch(touch);
                break;
            case Operation.PutMany many:
                PutMany(many);
                break;
            case Operation.DeleteMany many:
                var existed = many.Keys.Distinct().Count(key => Done(_expected.GetAsync(key)).Exists);
                many.Keys.ToList().ForEach(key => Done(_expected.DeleteAsync(key)));
                Require(Done(_actual.DeleteManyAsync([.. many.Keys])) == existed, $"{existed} of many keys existed");
                break;
            case Operation.DeletePrefix prefix:
                DeletePrefix(prefix.Prefix);
                break;
            case Operation.Scan scan:
                Scan(scan);
                break;
            case Operation.Advance advance:
                _time.Advance(advance.Span);
                break;
            case Operation.Get get:
                Get(get);
                break;
            case Operation.GetMany many:
                GetMany(many);
                break;
            case Operation.List list:
                Page(list.Prefix, list.Limit, null, null);
                break;
            case Operation.NextPage next:
                if (_cursors.Count > 0)
                {
                    var (prefix, actual, expected) = _cursors[next.Cursor % _cursors.Count];
                    Page(next.KeepsPrefix ? prefix : next.OtherPrefix, next.Limit, actual, expected);
                }

                break;
            default:
                throw new ArgumentException($"{operation} is not an operation of the model.", nameof(operation));
        }
    }

    /// <summary>Compares everything: all keys in order, all values, the count, and every view still held.</summary>
    public void CompareAll()
    {
        CheckViews();
        string? actualCursor = null;
        string? expectedCursor = null;
        do
        {
            var page = Page(prefix: null, limit: null, actualCursor, expectedCursor)!.Value;
            (actualCursor, expectedCursor) = (page.Actual.Cursor, page.Expected.Cursor);
            foreach (var key in page.Expected.Keys)
            {
                Same(Done(_expected.GetAsync(key.Name)), Done(_actual.GetAsync(key.Name)), "the value of a listed key");
            }
        }
        while (actualCursor is not null);

        // The sweep runs once a second, from whenever the namespace was made: the count may still hold what has expired since,
        // but nothing older, and it misses nothing.
        _time.Advance(TimeSpan.FromSeconds(2));
        var most = _expected.CountAt(_time.GetUtcNow() - TimeSpan.FromSeconds(1));
        Require(
            _actual.Count >= _expected.Count && _actual.Count <= most,
            $"the count is {_actual.Count} and must be {_expected.Count} to {most}");
    }

    private void Put(Operation.Put put)
    {
        var value = s_noise.AsSpan(put.Stamp % 1000, put.ValueBytes).ToArray();
        BitConverter.TryWriteBytes(value, put.Stamp);

        // A pipe does not tell its length: it is refused at the byte over the limit, and the rest is not read.
        var seen = put.From == Operation.Source.Pipe && value.Length > s_limits.ValueBytesMax ? value[..(s_limits.ValueBytesMax + 1)] : value;
        Both(
            () => Done(_expected.PutAsync(put.Key, put.From == Operation.Source.Text ? Text(value) : seen, put.Options)),
            () => Done(_actual.PutAsync(
                put.Key,
                put.From switch
                {
                    Operation.Source.Text => Text(value),
                    Operation.Source.Bytes => value,
                    Operation.Source.Stream => new MemoryStream(value),
                    _ => PipeReader.Create(new MemoryStream(value)),
                },
                put.Options)));

        // Bytes are copied: what the caller does with them afterwards is no longer the value's business.
        value.AsSpan().Clear();

        static string Text(byte[] value) => Encoding.Latin1.GetString(value);
    }

    private void PutMany(Operation.PutMany many)
    {
        foreach (var (key, stamp, options) in many.Entries)
        {
            Done(_expected.PutAsync(key, Text(stamp), options));
        }

        Done(_actual.PutManyAsync([.. many.Entries.Select(entry => new KvEntry(entry.Key, Text(entry.Stamp), entry.Options))]));

        static string Text(int stamp) => FormattableString.Invariant($"many {stamp}");
    }

    private void DeletePrefix(string prefix)
    {
        if (IsRefused(prefix))
        {
            return;
        }

        var names = new List<string>();
        string? cursor = null;
        do
        {
            var page = Listed(_expected, prefix, limit: null, cursor);
            names.AddRange(page.Keys.Select(key => key.Name));
            cursor = page.Cursor;
        }
        while (cursor is not null);
        names.ForEach(name => Done(_expected.DeleteAsync(name)));

        // It waits only to give the thread back.
        var deleted = _actual.DeletePrefixAsync(prefix).AsTask().GetAwaiter().GetResult();
        Require(deleted == names.Count, $"{deleted} were deleted and {names.Count} had the prefix");
    }

    // Prefixes that no key can have are refused, with messages of their own; a list takes some of them.
    private static bool IsRefused(string? prefix) =>
        prefix is not null && ((prefix.Length > 0 && char.IsHighSurrogate(prefix[^1])) || Encoding.UTF8.GetByteCount(prefix) > 512);

    private void Scan(Operation.Scan scan)
    {
        if (IsRefused(scan.Prefix))
        {
            return;
        }

        var enumerator = _actual.ScanAsync(scan.Prefix).GetAsyncEnumerator();
        string? cursor = null;
        var left = scan.Count;
        do
        {
            var page = Listed(_expected, scan.Prefix, limit: 100, cursor);
            foreach (var key in page.Keys.Take(left))
            {
                Require(Done(enumerator.MoveNextAsync()), $"the scan must show \"{key.Name}\"");
                Require(enumerator.Current.Key == key.Name, $"the scan shows \"{enumerator.Current.Key}\" and must show \"{key.Name}\"");
                Same(Done(_expected.GetAsync(key.Name)), enumerator.Current.Value, "a scanned entry");
            }

            left -= page.Keys.Count;
            cursor = page.Cursor;
        }
        while (cursor is not null && left > 0);
        Require(left <= 0 || !Done(enumerator.MoveNextAsync()), "the scan must have ended");
        Done(enumerator.DisposeAsync());
    }

    private void Get(Operation.Get get)
    {
        var expected = default(KvValue);
        switch (get.As)
        {
            case Operation.Reading.Text:
                string? text = null;
                if (Both(() => expected = Done(_expected.GetAsync(get.Key)), () => text = Done(_actual.GetTextAsync(get.Key))))
                {
                    Require(text == expected.GetText(), "the text differs");
                }

                break;
            case Operation.Reading.SynchronousUtf8:
                expected = Done(_expected.GetManyAsync([get.Key]))[get.Key];
                Require(_actual.TryGet(Encoding.UTF8.GetBytes(get.Key), out var byUtf8) == expected.Exists, "whether the key exists differs");
                Same(expected, byUtf8, "the entry");
                break;
            default:
                var entry = default(KvValue);
                var isSame = Both(
                    () => expected = Done(_expected.GetAsync(get.Key)),
                    () =>
                    {
                        if (get.As == Operation.Reading.Entry)
                        {
                            entry = Done(_actual.GetAsync(get.Key));
                        }
                        else
                        {
                            Require(_actual.TryGet(get.Key, out entry) == entry.Exists, "TryGet contradicts itself");
                        }
                    });
                if (isSame)
                {
                    Same(expected, entry, "the entry");
                    Remember(entry, expected);
                }

                break;
        }
    }

    private void GetMany(Operation.GetMany many)
    {
        IReadOnlyDictionary<string, KvValue> expected = null!;
        IReadOnlyDictionary<string, KvValue> actual = null!;
        if (Both(() => expected = Done(_expected.GetManyAsync(many.Keys)), () => actual = Done(_actual.GetManyAsync(many.Keys))))
        {
            Require(actual.Keys.SequenceEqual(expected.Keys), "the keys of many differ");
            foreach (var (key, value) in expected)
            {
                Same(value, actual[key], "one of many");
            }
        }
    }

    private (KvListPage Actual, KvListPage Expected)? Page(string? prefix, int? limit, string? actualCursor, string? expectedCursor)
    {
        KvListPage expected = null!;
        KvListPage actual = null!;
        if (!Both(() => expected = Listed(_expected, prefix, limit, expectedCursor), () => actual = Listed(_actual, prefix, limit, actualCursor)))
        {
            return null;
        }

        var same = expected.Keys.Zip(actual.Keys).TakeWhile(pair => pair.First == pair.Second).Count();
        Require(
            same == expected.Keys.Count && same == actual.Keys.Count,
            $"the pages differ at {same}: expected {Describe(expected, same)} of {expected.Keys.Count} but got {Describe(actual, same)} of {actual.Keys.Count}");
        Require(actual.ListComplete == expected.ListComplete, $"the page must {(expected.ListComplete ? "" : "not ")}be the last");
        if (actual.Cursor is not null)
        {
            if (_cursors.Count == CursorsMax)
            {
                _cursors.RemoveAt(_turn++ % CursorsMax);
            }

            _cursors.Add((prefix, actual.Cursor, expected.Cursor!));
        }

        return (actual, expected);

        static string Describe(KvListPage page, int at) => at < page.Keys.Count
            ? $"\"{page.Keys[at].Name}\" (expiration {page.Keys[at].Expiration:u}, metadata {page.Keys[at].Metadata})"
            : "the end";
    }

    private KvListPage Listed(IKvNamespace kv, string? prefix, int? limit, string? cursor) =>
        Done(kv.ListAsync(new KvListOptions { Prefix = prefix, Limit = limit, Cursor = cursor }));

    private void Remember(in KvValue view, in KvValue copy)
    {
        if (view.Exists)
        {
            if (_views.Count < ViewsMax)
            {
                _views.Add((view, copy));
                return;
            }

            var slot = _turn++ % ViewsMax;
            Same(_views[slot].Copy, _views[slot].View, "a view, long after it was handed out");
            _views[slot] = (view, copy);
        }
    }

    private void CheckViews()
    {
        foreach (var (view, copy) in _views)
        {
            Same(copy, view, "a view, long after it was handed out");
        }
    }

    private static void Same(in KvValue expected, in KvValue actual, string what)
    {
        Require(actual.Exists == expected.Exists, $"{what} must {(expected.Exists ? "" : "not ")}exist");
        Require(actual.GetBytes().Span.SequenceEqual(expected.GetBytes().Span), $"{what} has other bytes");
        Require(actual.Metadata == expected.Metadata, $"{what} has metadata {actual.Metadata} and must have {expected.Metadata}");
        Require(actual.Expiration == expected.Expiration, $"{what} expires at {actual.Expiration:u} and must at {expected.Expiration:u}");
    }

    // What is refused must be refused alike. True when nothing was.
    private static bool Both(Action expected, Action actual)
    {
        var (onlyExpected, onlyActual) = (Refusal(expected), Refusal(actual));
        Require(
            onlyExpected?.GetType() == onlyActual?.GetType() && onlyExpected?.Message == onlyActual?.Message,
            $"expected {onlyExpected?.Message ?? "success"} but got {onlyActual?.Message ?? "success"}");
        return onlyExpected is null;
    }

    private static Exception? Refusal(Action operation)
    {
        try
        {
            operation();
            return null;
        }
        catch (Exception e) when (e is KvException or ArgumentException)
        {
            return e;
        }
    }

    private static void Require(bool isTrue, string otherwise)
    {
        if (!isTrue)
        {
            throw new MismatchException(otherwise);
        }
    }

    // In memory nothing has to wait, neither here nor there. A database has to, and an operation must be done before the next one begins.
    private void Done(ValueTask task)
    {
        Require(task.IsCompleted || !_completesAtOnce, "the operation did not complete at once");
        task.AsTask().GetAwaiter().GetResult();
    }

    private T Done<T>(ValueTask<T> task)
    {
        Require(task.IsCompleted || !_completesAtOnce, "the operation did not complete at once");
        return task.AsTask().GetAwaiter().GetResult();
    }

    private static byte[] Noise()
    {
        var noise = new byte[5_001_000];
        new Random(1).NextBytes(noise);
        return noise;
    }

    /// <summary>The namespace and its model differ.</summary>
    public sealed class MismatchException(string message) : Exception(message);
}
