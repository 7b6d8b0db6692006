using KvStore.Persistence.Storage;

namespace KvStore.TestKit.Persistence;

/// <summary>The power went: thrown by whatever was being done, and by everything after it.</summary>
internal sealed class PowerCutException() : IOException("The power is off.");

/// <summary>
/// A disk in memory that forgets what was not flushed. It can be cut off at any step, and then comes up with what a real one
/// might have kept: of each unflushed write any of its sectors, of each unflushed change to the directory the old or the
/// new state, each by itself.
/// </summary>
/// <remarks>
/// More forgetful than any real disk and file system: a flush of a file does not keep its name, and changes to the
/// directory are independent of each other. A step is a write, a new length, a flush, or a change to the directory.
/// </remarks>
internal sealed class SimulatedDisk : IStorage
{
    private const int SectorBytes = 512;
    private const int NoSpaceError = 28;

    private readonly Lock _gate = new();
    private readonly Dictionary<string, Node> _names;
    private readonly Dictionary<string, Node> _durableNames;
    private readonly List<Action<Dictionary<string, Node>>> _pending = [];
    private readonly HashSet<OpenFile> _writers = [];
    private int _cutAtStep = int.MaxValue;
    private bool _isLocked;

    public SimulatedDisk()
        : this([])
    {
    }

    private SimulatedDisk(Dictionary<string, Node> names)
    {
        _names = names;
        _durableNames = new(names);
    }

    /// <summary>How many steps were done.</summary>
    public int Steps { get; private set; }

    public bool IsOff { get; private set; }

    /// <summary>Called before each step with what it is, outside the gate; may throw, for a disk that fails.</summary>
    public Action<string, string>? BeforeStep { get; set; }

    public string? Weakness { get; init; }

    /// <summary>How many bytes there are for files, in sectors: of their content, and of what is reserved for them.</summary>
    public long CapacityBytes { get; set; } = long.MaxValue;

    /// <summary>Whether the file system can reserve space.</summary>
    public bool CanReserve { get; init; } = true;

    /// <summary>The bytes that are in use, with what is reserved. A file that was deleted counts while it is open to be written.</summary>
    public long UsedBytes
    {
        get
        {
            lock (_gate)
            {
                return _names.Values.Concat(_writers.Select(file => file.Node)).Distinct().Sum(node => node.UsedBytes);
            }
        }
    }

    /// <summary>How many files are open to be written.</summary>
    public int OpenWriters
    {
        get
        {
            lock (_gate)
            {
                return _writers.Count;
            }
        }
    }

    /// <summary>The bytes of all files.</summary>
    public long Bytes
    {
        get
        {
            lock (_gate)
            {
                return _names.Values.Sum(node => node.Current.LongLength);
            }
        }
    }

    public IReadOnlyDictionary<string, byte[]> Files
    {
        get
        {
            lock (_gate)
            {
                return _names.ToDictionary(pair => pair.Key, pair => pair.Value.Current);
            }
        }
    }

    /// <summary>A disk with these files on it.</summary>
    public static SimulatedDisk With(IEnumerable<KeyValuePair<string, byte[]>> files) =>
        new(files.ToDictionary(pair => pair.Key, pair => new Node(pair.Value)));

    /// <summary>Cuts the power, or kills the process, at a step, counted from 1: what it writes may reach the disk, what it flushes may not.</summary>
    public void CutAt(int step) => _cutAtStep = step;

    /// <summary>
    /// The disk as the next process finds it when the one that used it was killed: everything that was written is there, and
    /// what was not flushed may still be lost when the power is cut later.
    /// </summary>
    public SimulatedDisk AfterKill()
    {
        lock (_gate)
        {
            IsOff = true;
            var next = new SimulatedDisk(_names);
            next._durableNames.Clear();
            foreach (var (name, node) in _durableNames)
            {
                next._durableNames[name] = node;
            }

            next._pending.AddRange(_pending);
            return next;
        }
    }

    /// <summary>The disk as it comes up after the power was cut.</summary>
    /// <param name="seed">0: nothing is kept that was not flushed; 1: all of it; otherwise chance decides.</param>
    public SimulatedDisk Restart(int seed)
    {
        lock (_gate)
        {
            IsOff = true;
            var random = new Random(seed);
            bool IsKept() => seed == 1 || (seed != 0 && random.Next(2) == 0);

            var names = new Dictionary<string, Node>(_durableNames);
            foreach (var change in _pending)
            {
                if (IsKept())
                {
                    change(names);
                }
            }

            // A file with two names is one that was renamed by half; both lead to the same content.
            var contents = names.Values.Distinct().ToDictionary(node => node, node => new Node(node.AfterCut(IsKept)));
            return new SimulatedDisk(names.ToDictionary(pair => pair.Key, pair => contents[pair.Value]));
        }
    }

    public string PathOf(string name) => "disk/" + name;

    public IReadOnlyList<StorageEntry> List()
    {
        lock (_gate)
        {
            ThrowIfOff();
            return [.. _names.Select(pair => new StorageEntry(pair.Key, pair.Value.Current.Length))];
        }
    }

    public bool Exists(string name)
    {
        lock (_gate)
        {
            ThrowIfOff();
            return _names.ContainsKey(name);
        }
    }

    public IStorageFile Create(string name)
    {
        Begin("create", name);
        lock (_gate)
        {
            ThrowIfOff();
            if (_names.ContainsKey(name))
            {
                throw new IOException($"{name} exists.");
            }

            var node = new Node([]);
            Change(names => names[name] = node);
            End();
            return Opened(node, isWritable: true, name);
        }
    }

    public IStorageFile Open(string name, bool isWritable)
    {
        lock (_gate)
        {
            ThrowIfOff();
            return _names.TryGetValue(name, out var node) ? Opened(node, isWritable, name) : throw new FileNotFoundException($"{name} does not exist.");
        }
    }

    public void Rename(string from, string to)
    {
        Begin("rename", from);
        lock (_gate)
        {
            ThrowIfOff();
            if (!_names.TryGetValue(from, out var node))
            {
                throw new FileNotFoundException($"{from} does not exist.");
            }

            Change(names =>
            {
                // Only if it is still there in what the disk kept.
                if (names.GetValueOrDefault(from) == node)
                {
                    names.Remove(from);
                    names[to] = node;
                }
            });
            End();
        }
    }

    public void Delete(string name)
    {
        Begin("delete", name);
        lock (_gate)
        {
            ThrowIfOff();
            if (_names.TryGetValue(name, out var node))
            {
                Change(names =>
                {
                    if (names.GetValueOrDefault(name) == node)
                    {
                        names.Remove(name);
                    }
                });
            }

            End();
        }
    }

    public void FlushDirectory()
    {
        Begin("flush directory", "");
        lock (_gate)
        {
            ThrowIfOff();
            End();
            _pending.Clear();
            _durableNames.Clear();
            foreach (var (name, node) in _names)
            {
                _durableNames[name] = node;
            }
        }
    }

    public IDisposable Lock(bool isShared = false)
    {
        lock (_gate)
        {
            if (_isLocked)
            {
                throw new KvDirectoryLockedException("disk", Environment.ProcessId);
            }

            _isLocked = true;
            return new Lease(this);
        }
    }

    public void Dispose()
    {
        // The content of the disk outlives the store that used it.
    }

    private OpenFile Opened(Node node, bool isWritable, string name)
    {
        var file = new OpenFile(this, node, isWritable, name);
        if (isWritable)
        {
            _writers.Add(file);
        }

        return file;
    }

    // Requires: the gate is held.
    private void Take(Node node, long through)
    {
        if (through > SpaceThrough(node))
        {
            throw NoSpace();
        }
    }

    private long SpaceThrough(Node node) =>
        CapacityBytes == long.MaxValue ? long.MaxValue : node.UsedBytes + Math.Max(0, (CapacityBytes - UsedBytes) / SectorBytes * SectorBytes);

    private static IOException NoSpace() => new("No space left on device", NoSpaceError);

    private void Change(Action<Dictionary<string, Node>> change)
    {
        change(_names);
        _pending.Add(change);
    }

    private void Begin(string operation, string name) => BeforeStep?.Invoke(operation, name);

    private void End()
    {
        Steps++;
        if (Steps >= _cutAtStep)
        {
            IsOff = true;
            throw new PowerCutException();
        }
    }

    private void ThrowIfOff()
    {
        if (IsOff)
        {
            throw new PowerCutException();
        }
    }

    /// <summary>A file, whatever its name.</summary>
    private sealed class Node(byte[] durable)
    {
        private readonly List<(long Offset, byte[]? Bytes)> _pending = [];
        private byte[] _durable = durable;

        public byte[] Current { get; private set; } = durable;

        /// <summary>Up to here it has its space, whatever its length. Nobody knows after a crash.</summary>
        public long ReservedThrough { get; set; }

        public long UsedBytes => (Math.Max(Current.LongLength, ReservedThrough) + SectorBytes - 1) / SectorBytes * SectorBytes;

        public void Write(ReadOnlySpan<byte> bytes, long offset)
        {
            var copy = bytes.ToArray();
            Current = Resized(Current, Math.Max(Current.Length, offset + copy.Length));
            copy.CopyTo(Current.AsSpan((int)offset));
            _pending.Add((offset, copy));
        }

        public void SetLength(long length)
        {
            Current = Resized(Current, length);
            ReservedThrough = Math.Min(ReservedThrough, length);
            _pending.Add((length, null));
        }

        public void Flush()
        {
            _durable = Current;
            _pending.Clear();
        }

        public byte[] AfterCut(Func<bool> isKept)
        {
            var content = (byte[])_durable.Clone();
            foreach (var (offset, bytes) in _pending)
            {
                if (bytes is not null)
                {
                    content = Applied(content, bytes, offset, isKept);
                }
                else if (isKept())
                {
                    content = Resized(content, offset);
                }
            }

            return content;
        }

        // Never in place: what was handed out for reading, or is durable, stays as it is.
        private static byte[] Applied(byte[] content, byte[] bytes, long offset, Func<bool> isKept)
        {
            var result = content;
            var isOwn = false;
            for (var at = 0; at < bytes.Length;)
            {
                var sectorEnd = (offset + at) / SectorBytes * SectorBytes + SectorBytes - offset;
                var length = (int)Math.Min(sectorEnd - at, bytes.Length - at);
                if (isKept())
                {
                    if (!isOwn || result.Length < offset + at + length)
                    {
                        result = Resized(result, Math.Max(result.Length, offset + at + length));
                        isOwn = true;
                    }

                    bytes.AsSpan(at, length).CopyTo(result.AsSpan((int)offset + at));
                }

                at += length;
            }

            return result;
        }

        private static byte[] Resized(byte[] content, long length)
        {
            var result = new byte[length];
            content.AsSpan(0, (int)Math.Min(content.Length, length)).CopyTo(result);
            return result;
        }
    }

    private sealed class OpenFile(SimulatedDisk disk, Node node, bool isWritable, string name) : IStorageFile
    {
        public Node Node => node;

        public long Length
        {
            get
            {
                lock (disk._gate)
                {
                    disk.ThrowIfOff();
                    return node.Current.Length;
                }
            }
        }

        public int Read(Span<byte> buffer, long offset)
        {
            byte[] content;
            lock (disk._gate)
            {
                disk.ThrowIfOff();
                content = node.Current;
            }

            var length = (int)Math.Clamp(content.Length - offset, 0, buffer.Length);
            content.AsSpan((int)Math.Min(offset, content.Length), length).CopyTo(buffer);
            return length;
        }

        public ValueTask<int> ReadAsync(Memory<byte> buffer, long offset, CancellationToken cancellationToken) =>
            new(Read(buffer.Span, offset));

        public void Write(ReadOnlySpan<byte> bytes, long offset)
        {
            disk.Begin("write", name);
            lock (disk._gate)
            {
                ThrowIfReadOnly();
                var space = disk.SpaceThrough(node) - offset;
                if (space < bytes.Length)
                {
                    // As much as there is space for is written.
                    node.Write(bytes[..(int)Math.Max(space, 0)], offset);
                    throw NoSpace();
                }

                node.Write(bytes, offset);
                disk.End();
            }
        }

        public void SetLength(long length)
        {
            disk.Begin("set length", name);
            lock (disk._gate)
            {
                ThrowIfReadOnly();
                disk.Take(node, length);
                node.SetLength(length);
                disk.End();
            }
        }

        public bool TryReserve(long offset, long length)
        {
            disk.Begin("reserve", name);
            lock (disk._gate)
            {
                ThrowIfReadOnly();
                if (!disk.CanReserve)
                {
                    return false;
                }

                disk.Take(node, offset + length);
                node.ReservedThrough = Math.Max(node.ReservedThrough, offset + length);
                disk.End();
                return true;
            }
        }

        public void Flush()
        {
            disk.Begin("flush", name);
            lock (disk._gate)
            {
                ThrowIfReadOnly();
                disk.End();
                node.Flush();
            }
        }

        public void Dispose()
        {
            lock (disk._gate)
            {
                disk._writers.Remove(this);
            }
        }

        private void ThrowIfReadOnly()
        {
            disk.ThrowIfOff();
            if (!isWritable || !disk._writers.Contains(this))
            {
                throw new UnauthorizedAccessException($"{name} is not open for writing.");
            }
        }
    }

    private sealed class Lease(SimulatedDisk disk) : IDisposable
    {
        public void Dispose() => disk._isLocked = false;
    }
}
