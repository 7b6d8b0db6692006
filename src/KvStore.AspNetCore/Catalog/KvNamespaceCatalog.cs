using System.Diagnostics;
using KvStore.Catalog;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvStore;

/// <summary>
/// The namespaces of a data directory, which can be created, renamed and deleted while the program runs; and the namespaces that
/// are registered in code. Each has an id and a unique title.
/// </summary>
/// <remarks>
/// <para>A change is on the disk when its task completes. A crash before that leaves the catalog as it was before the change or
/// after it. One process at a time can open the directory.</para>
/// <para>Thread safety: all members, from any thread. Finding a namespace takes no lock; changes run one after the other.</para>
/// </remarks>
public sealed class KvNamespaceCatalog : IAsyncDisposable, IDisposable
{
    private const string NamespacesDirectory = "namespaces";

    private readonly KvCatalogOptions _options;
    private readonly CatalogFile? _file;
    private readonly ILogger _logger;
    private readonly SemaphoreSlim _changeLock = new(1, 1);
    private volatile CatalogState _state = new([], []);
    private bool _isDisposed;

    private KvNamespaceCatalog(KvCatalogOptions options, CatalogFile? file)
    {
        _options = options;
        _file = file;
        _logger = (ILogger?)options.LoggerFactory?.CreateLogger<KvNamespaceCatalog>() ?? NullLogger.Instance;
    }

    /// <summary>All namespaces, in the ordinal order of their titles.</summary>
    public IReadOnlyList<KvCatalogEntry> Entries => _state.Entries;

    /// <summary>Opens a catalog and every namespace in it.</summary>
    /// <param name="options">The options; null for a catalog in memory.</param>
    /// <param name="registered">The namespaces registered in code. They become part of the catalog, and the caller still disposes them. Null for none.</param>
    /// <param name="cancellationToken">Cancels the opening; nothing stays open then.</param>
    /// <returns>The catalog, which the caller disposes. That also disposes the namespaces that it opened.</returns>
    /// <exception cref="KvDirectoryLockedException">Another process has the directory open.</exception>
    /// <exception cref="KvPersistenceException">The catalog file or a namespace is damaged or cannot be opened.</exception>
    /// <exception cref="KvCatalogException">A name registered in code is the title of another namespace.</exception>
    public static async ValueTask<KvNamespaceCatalog> OpenAsync(
        KvCatalogOptions? options = null, IEnumerable<IKvNamespace>? registered = null, CancellationToken cancellationToken = default)
    {
        options = options?.Copy() ?? new KvCatalogOptions();
        options.Validate();
        return await OpenAsync(
            options, options.Directory is { } directory ? CatalogFile.Open(directory) : null, registered, cancellationToken).ConfigureAwait(false);
    }

    internal static async ValueTask<KvNamespaceCatalog> OpenAsync(
        KvCatalogOptions options, CatalogFile? file, IEnumerable<IKvNamespace>? registered, CancellationToken cancellationToken = default)
    {
        var catalog = new KvNamespaceCatalog(options, file);
        try
        {
            await catalog.LoadAsync(registered ?? [], cancellationToken).ConfigureAwait(false);
            return catalog;
        }
        catch
        {
            await catalog.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Finds a namespace by its id.</summary>
    /// <param name="id">32 lower-case hexadecimal digits; anything else is never found.</param>
    /// <returns>The namespace, or null.</returns>
    public KvCatalogEntry? Find(ReadOnlySpan<char> id) => _state.ById(id);

    /// <summary>Finds a namespace by its id, or else by its title.</summary>
    /// <param name="idOrTitle">Either; no title looks like an id.</param>
    /// <returns>The namespace, or null.</returns>
    public KvCatalogEntry? FindByIdOrTitle(string idOrTitle)
    {
        ArgumentNullException.ThrowIfNull(idOrTitle);
        var state = _state;
        return state.ById(idOrTitle) ?? state.ByTitle(idOrTitle);
    }

    /// <summary>Creates an empty namespace.</summary>
    /// <param name="title">Its title: 1 to 512 bytes of UTF-8, no control characters, not taken.</param>
    /// <param name="cancellationToken">Cancels the call before it changes anything.</param>
    /// <returns>The namespace, with a new id.</returns>
    /// <exception cref="KvCatalogException">The title is taken or not allowed.</exception>
    public async ValueTask<KvCatalogEntry> CreateAsync(string title, CancellationToken cancellationToken = default)
    {
        NamespaceTitle.Check(title);
        using var change = await BeginChangeAsync(cancellationToken).ConfigureAwait(false);
        CheckIsFree(title, exceptId: null);
        var before = _state;
        var id = NamespaceId.New();

        // The catalog file first: a namespace without files opens empty, but files without a namespace would never be removed.
        WriteFile(before.ToContent() with { Namespaces = [.. before.ToContent().Namespaces, new CatalogLine(id, title)] });
        try
        {
            var kv = await OpenNamespaceAsync(id, title, CancellationToken.None).ConfigureAwait(false);
            var entry = new KvCatalogEntry(id, title, kv, isRegistered: false);
            _state = new CatalogState([.. before.Entries, entry], before.Deleting);
            _logger.Created(id, title);
            return entry;
        }
        catch
        {
            WriteFile(before.ToContent());
            throw;
        }
    }

    /// <summary>Gives a namespace another title. It stays open, and its id stays.</summary>
    /// <param name="id">The namespace.</param>
    /// <param name="title">The new title.</param>
    /// <param name="cancellationToken">Cancels the call before it changes anything.</param>
    /// <returns>The namespace under its new title.</returns>
    /// <exception cref="KvCatalogException">There is no such namespace, it was registered in code, or the title is taken or not allowed.</exception>
    public async ValueTask<KvCatalogEntry> RenameAsync(string id, string title, CancellationToken cancellationToken = default)
    {
        NamespaceTitle.Check(title);
        using var change = await BeginChangeAsync(cancellationToken).ConfigureAwait(false);
        var entry = OwnEntry(id, "renamed");
        CheckIsFree(title, exceptId: id);
        var renamed = new KvCatalogEntry(id, title, entry.Namespace, isRegistered: false);
        Replace(new CatalogState(_state.Entries.Where(e => e.Id != id).Append(renamed), _state.Deleting));
        _logger.Renamed(id, title);
        return renamed;
    }

    /// <summary>
    /// Deletes a namespace and its files. A crash in between does not bring the namespace back: its remaining files are removed when
    /// the catalog is opened the next time.
    /// </summary>
    /// <param name="id">The namespace.</param>
    /// <param name="cancellationToken">Cancels the call before it changes anything.</param>
    /// <returns>A task that completes when the namespace is gone.</returns>
    /// <exception cref="KvCatalogException">There is no such namespace, or it was registered in code.</exception>
    public async ValueTask DeleteAsync(string id, CancellationToken cancellationToken = default)
    {
        using var change = await BeginChangeAsync(cancellationToken).ConfigureAwait(false);
        var entry = OwnEntry(id, "deleted");
        Replace(new CatalogState(_state.Entries.Where(e => e.Id != id), [.. _state.Deleting, id]));
        _logger.Deleted(id, entry.Title);

        // The catalog no longer finds it. Callers that still have it get ObjectDisposedException, and keep the values they have read.
        try
        {
            await ((KvNamespace)entry.Namespace).DisposeAsync().ConfigureAwait(false);
        }
        catch (KvPersistenceException e)
        {
            // The writes that did not reach the disk are deleted with the namespace.
            _logger.ClosedBadly(id, e);
        }

        RemoveFiles();
    }

    /// <summary>Closes the namespaces that the catalog opened, and the directory. All acknowledged writes are on the disk afterwards.</summary>
    /// <returns>A task that completes when everything is closed.</returns>
    public async ValueTask DisposeAsync()
    {
        await _changeLock.WaitAsync().ConfigureAwait(false);
        try
        {
            if (_isDisposed)
            {
                return;
            }

            _isDisposed = true;
            var own = _state.Entries.Where(entry => !entry.IsRegistered).ToList();
            _state = new CatalogState([], []);
            await Task.WhenAll(own.Select(entry => ((KvNamespace)entry.Namespace).DisposeAsync().AsTask())).ConfigureAwait(false);
        }
        finally
        {
            _file?.Dispose();
            _changeLock.Release();
        }
    }

    /// <summary>Does what <see cref="DisposeAsync"/> does, and blocks until everything is on the disk.</summary>
    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    private async Task LoadAsync(IEnumerable<IKvNamespace> registered, CancellationToken cancellationToken)
    {
        var content = _file?.Read() ?? CatalogContent.Empty;
        _state = new CatalogState([], content.Deleting);
        RemoveFiles();

        var entries = new List<KvCatalogEntry>();
        foreach (var kv in registered)
        {
            if (content.Namespaces.FirstOrDefault(line => line.Title == kv.Name) is { Id: { } id })
            {
                throw new KvCatalogException(
                    KvCatalogError.TitleTaken,
                    $"The namespace \"{kv.Name}\" is registered in code, and the catalog in {_options.Directory} has another of that title, {id}. Register it under another name, or rename the other.");
            }

            entries.Add(new KvCatalogEntry(NamespaceId.OfRegistered(kv.Name), kv.Name, kv, isRegistered: true));
        }

        try
        {
            foreach (var line in content.Namespaces)
            {
                var kv = await OpenNamespaceAsync(line.Id, line.Title, cancellationToken).ConfigureAwait(false);
                entries.Add(new KvCatalogEntry(line.Id, line.Title, kv, isRegistered: false));
            }
        }
        finally
        {
            // Also when one fails to open: disposing the catalog closes the others.
            _state = new CatalogState(entries, _state.Deleting);
        }
    }

    private ValueTask<KvNamespace> OpenNamespaceAsync(string id, string title, CancellationToken cancellationToken) =>
        KvNamespace.OpenAsync(
            title,
            new KvNamespaceOptions
            {
                Limits = _options.Limits,
                TimeProvider = _options.TimeProvider,
                LoggerFactory = _options.LoggerFactory,
                Persistence = _options.Directory is null ? null : new FilePersistence(DirectoryOf(id), _options.Persistence),
            },
            cancellationToken);

    private string DirectoryOf(string id) => Path.Combine(_options.Directory!, NamespacesDirectory, id);

    // Removes the files of deleted namespaces. Files that cannot be removed now are removed the next time. The catalog file keeps
    // the id until then, because KvDirectory.Delete survives a power cut and Directory.Delete does not.
    private void RemoveFiles()
    {
        var left = new List<string>();
        foreach (var id in _state.Deleting)
        {
            try
            {
                if (_options.Directory is not null)
                {
                    KvDirectory.Delete(DirectoryOf(id));
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                _logger.FilesStay(id, e);
                left.Add(id);
            }
        }

        if (left.Count != _state.Deleting.Count)
        {
            Replace(new CatalogState(_state.Entries, left));
        }
    }

    private void Replace(CatalogState state)
    {
        Debug.Assert(state.Entries.Select(entry => entry.Id).Intersect(state.Deleting).FirstOrDefault() is null, "A namespace that is being deleted has left the catalog.");
        WriteFile(state.ToContent());
        _state = state;
    }

    private void WriteFile(CatalogContent content) => _file?.Write(content);

    private KvCatalogEntry OwnEntry(string id, string change)
    {
        var entry = _state.ById(id) ?? throw new KvCatalogException(KvCatalogError.NotFound, "namespace not found");
        return entry.IsRegistered
            ? throw new KvCatalogException(KvCatalogError.Registered, $"The namespace \"{entry.Title}\" is registered in code and cannot be {change} here.")
            : entry;
    }

    private void CheckIsFree(string title, string? exceptId)
    {
        if (_state.ByTitle(title) is { } other && other.Id != exceptId)
        {
            throw new KvCatalogException(KvCatalogError.TitleTaken, "a namespace with this account ID and title already exists");
        }
    }

    private async ValueTask<Change> BeginChangeAsync(CancellationToken cancellationToken)
    {
        await _changeLock.WaitAsync(cancellationToken).ConfigureAwait(false);
        if (_isDisposed)
        {
            _changeLock.Release();
            throw new ObjectDisposedException(nameof(KvNamespaceCatalog));
        }

        return new Change(_changeLock);
    }

    private readonly struct Change(SemaphoreSlim changeLock) : IDisposable
    {
        public void Dispose() => changeLock.Release();
    }
}
