using Microsoft.Extensions.Logging;

namespace KvStore.Configuration;

/// <summary>
/// Loggers for code that runs before the application has a log. What they are given is kept, and written when a log is attached.
/// </summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class RelayLoggerFactory : ILoggerFactory
{
    // What is logged before a log is attached is about opening and the first values. More than this is never read.
    private const int KeptMax = 256;

    private readonly Lock _lock = new();
    private readonly List<(string Category, Action<ILogger> Write)> _kept = [];
    private ILoggerFactory? _target;

    /// <summary>Writes what was kept to a log, and from now on everything.</summary>
    public void Attach(ILoggerFactory target)
    {
        List<(string Category, Action<ILogger> Write)> kept;
        lock (_lock)
        {
            _target = target;
            kept = [.. _kept];
            _kept.Clear();
        }

        foreach (var (category, write) in kept)
        {
            write(target.CreateLogger(category));
        }
    }

    /// <summary>The log ends. Does nothing when another one was attached meanwhile.</summary>
    public void Detach(ILoggerFactory target)
    {
        lock (_lock)
        {
            if (_target == target)
            {
                _target = null;
            }
        }
    }

    public ILogger CreateLogger(string categoryName) => new Logger(this, categoryName);

    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException("Providers are added to the log of the application.");

    public void Dispose()
    {
        // The log belongs to the application.
    }

    private ILogger? Find(string category)
    {
        try
        {
            return Volatile.Read(ref _target)?.CreateLogger(category);
        }
        catch (ObjectDisposedException)
        {
            return null;
        }
    }

    private void Keep(string category, Action<ILogger> write)
    {
        lock (_lock)
        {
            if (_kept.Count < KeptMax)
            {
                _kept.Add((category, write));
            }
        }
    }

    private sealed class Logger(RelayLoggerFactory factory, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => factory.Find(category)?.BeginScope(state);

        public bool IsEnabled(LogLevel logLevel) => factory.Find(category)?.IsEnabled(logLevel) ?? logLevel is >= LogLevel.Information and < LogLevel.None;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (factory.Find(category) is { } logger)
            {
                logger.Log(logLevel, eventId, state, exception, formatter);
            }
            else
            {
                factory.Keep(category, logger => logger.Log(logLevel, eventId, state, exception, formatter));
            }
        }
    }
}
