using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace KvStore.TestKit;

/// <summary>A log that a test reads. Thread safety: all members, from any thread.</summary>
public sealed class LogLines : ILoggerFactory, ILoggerProvider, ILogger
{
    /// <summary>Each line: its level, its text, and its exception as a console would print it.</summary>
    public ConcurrentQueue<string> Lines { get; } = new();

    /// <summary>The lines of warnings and of what is worse.</summary>
    public IEnumerable<string> Warnings => Lines.Where(line =>
        line.StartsWith(nameof(LogLevel.Warning), StringComparison.Ordinal)
        || line.StartsWith(nameof(LogLevel.Error), StringComparison.Ordinal)
        || line.StartsWith(nameof(LogLevel.Critical), StringComparison.Ordinal));

    public ILogger CreateLogger(string categoryName) => this;

    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        Lines.Enqueue($"{logLevel} {formatter(state, exception)}{(exception is null ? "" : Environment.NewLine)}{exception}");

    public bool IsEnabled(LogLevel logLevel) => true;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public void Dispose()
    {
    }
}
