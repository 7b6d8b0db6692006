using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using KvStore.Memory;

namespace KvStore.TestKit.Persistence;

/// <summary>
/// A persistence provider without a disk: it keeps mutations for as long as it exists, so that a namespace can be closed
/// and opened again. The second implementation of the contract, and the measure for the first.
/// </summary>
public sealed class MemoryPersistence : IKvPersistence
{
    private readonly ConcurrentDictionary<string, MemoryPersistence> _copies;
    private readonly Lock _gate = new();
    private readonly LargeValueStore _large = new();
    private Dictionary<string, Kept> _kept = new(StringComparer.Ordinal);
    private IKvPersistenceHost? _host;
    private long _highestRevision;

    public MemoryPersistence()
        : this(new())
    {
    }

    private MemoryPersistence(ConcurrentDictionary<string, MemoryPersistence> copies) => _copies = copies;

    public KvPersistenceHealth Health => _host is null ? new(KvPersistenceStatus.Closed) : KvPersistenceHealth.Healthy;

    public IKvLargeValues? LargeValues => _host is null ? null : _large;

    /// <summary>The copy that <see cref="SnapshotAsync"/> wrote under a name.</summary>
    public MemoryPersistence CopyAt(string directory) => _copies[directory];

    public ValueTask<KvRecovery> OpenAsync(IKvPersistenceHost host, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(host);
        cancellationToken.ThrowIfCancellationRequested();
        lock (_gate)
        {
            if (_host is not null)
            {
                throw new InvalidOperationException("It is open already.");
            }

            _host = host;
            var now = host.TimeProvider.GetUtcNow().ToUnixTimeSeconds();
            host.Prepare(_kept.Count, _kept.Values.Sum(kept => (long)kept.Key.Length + kept.Metadata.Length + kept.Value.Length));
            foreach (var kept in _kept.Values)
            {
                host.Recover(kept.ToMutation(isExpired: kept.DeadlineSeconds != 0 && kept.DeadlineSeconds <= now));
            }

            return new(new KvRecovery { HighestRevision = _highestRevision, Mutations = _kept.Count });
        }
    }

    public ValueTask AppendAsync(in KvMutation mutation, CancellationToken cancellationToken = default)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled(cancellationToken);
        }

        lock (_gate)
        {
            ThrowIfNotOpen();
            var kept = new Kept(mutation);
            var name = Convert.ToHexString(kept.Key);
            if (!_kept.TryGetValue(name, out var present) || present.Revision < kept.Revision)
            {
                _kept[name] = kept;
            }

            _highestRevision = Math.Max(_highestRevision, kept.Revision);
            return default;
        }
    }

    public ValueTask FlushAsync(CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        ThrowIfNotOpen();
        return default;
    }

    public ValueTask CompactAsync(CancellationToken cancellationToken = default) => FlushAsync(cancellationToken);

    public ValueTask SnapshotAsync(string directory, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        lock (_gate)
        {
            ThrowIfNotOpen();
            var copy = new MemoryPersistence(_copies) { _kept = new(_kept, StringComparer.Ordinal), _highestRevision = _highestRevision };
            copy._large.CopyFrom(_large);
            if (!_copies.TryAdd(directory, copy))
            {
                throw new KvPersistenceException($"{directory} is not empty; a snapshot is written to a directory that is.");
            }

            return default;
        }
    }

    public ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            _host = null;
            return default;
        }
    }

    private void ThrowIfNotOpen()
    {
        if (_host is null)
        {
            throw new InvalidOperationException("It is not open.");
        }
    }

    private sealed class Kept(in KvMutation mutation)
    {
        private readonly KvValueReference _largeValue = mutation.LargeValue;
        private readonly bool _isDelete = mutation.IsDelete;

        public byte[] Key { get; } = mutation.Key.ToArray();

        public byte[] Metadata { get; } = mutation.Metadata.ToArray();

        public byte[] Value { get; } = mutation.Value.ToArray();

        public uint DeadlineSeconds { get; } = mutation.DeadlineSeconds;

        public byte DeadlineRounding { get; } = mutation.DeadlineRounding;

        public long Revision { get; } = mutation.Revision;

        public KvMutation ToMutation(bool isExpired) => isExpired || _isDelete
            ? new() { Key = Key, Revision = Revision, IsDelete = true }
            : new()
            {
                Key = Key,
                Metadata = Metadata,
                Value = Value,
                LargeValue = _largeValue,
                DeadlineSeconds = DeadlineSeconds,
                DeadlineRounding = DeadlineRounding,
                Revision = Revision,
            };
    }

    private sealed class LargeValueStore : IKvLargeValues
    {
        private readonly ConcurrentDictionary<long, byte[]> _values = new();
        private readonly Dictionary<long, int> _holders = [];
        private readonly HashSet<long> _released = [];
        private long _lastId;

        public int ThresholdBytes => 1024;

        public KvLargeValueWriter Create() => new Writer(this);

        public bool TryOpen(KvValueReference reference, [NotNullWhen(true)] out KvLargeValue? value)
        {
            lock (_holders)
            {
                if (!_values.TryGetValue(reference.Id, out var bytes))
                {
                    value = null;
                    return false;
                }

                _holders[reference.Id] = _holders.GetValueOrDefault(reference.Id) + 1;
                value = new Held(this, reference.Id, bytes);
                return true;
            }
        }

        public void Release(KvValueReference reference)
        {
            lock (_holders)
            {
                _released.Add(reference.Id);
                RemoveIfUnused(reference.Id);
            }
        }

        private void Leave(long id)
        {
            lock (_holders)
            {
                _holders[id]--;
                RemoveIfUnused(id);
            }
        }

        private void RemoveIfUnused(long id)
        {
            if (_released.Contains(id) && _holders.GetValueOrDefault(id) == 0)
            {
                _values.TryRemove(id, out _);
            }
        }

        public void CopyFrom(LargeValueStore other)
        {
            foreach (var (id, bytes) in other._values)
            {
                _values[id] = bytes;
            }

            _lastId = other._lastId;
        }

        private sealed class Held(LargeValueStore store, long id, byte[] bytes) : KvLargeValue
        {
            private int _isDisposed;

            public override long Length => bytes.Length;

            public override Stream OpenStream() => new MemoryStream(bytes, writable: false);

            public override void Dispose()
            {
                if (Interlocked.Exchange(ref _isDisposed, 1) == 0)
                {
                    store.Leave(id);
                }
            }
        }

        private sealed class Writer(LargeValueStore store) : KvLargeValueWriter
        {
            private readonly MemoryStream _bytes = new();

            public override long Length => _bytes.Length;

            public override ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken = default) =>
                _bytes.WriteAsync(bytes, cancellationToken);

            public override ValueTask<KvValueReference> CompleteAsync(CancellationToken cancellationToken = default)
            {
                cancellationToken.ThrowIfCancellationRequested();
                var id = Interlocked.Increment(ref store._lastId);
                store._values[id] = _bytes.ToArray();
                return new(new KvValueReference(id, _bytes.Length));
            }

            public override ValueTask DisposeAsync() => _bytes.DisposeAsync();
        }
    }
}
