using System.Globalization;
using System.Text;

namespace KvStore.PostgreSqlChild;

/// <summary>Writes lines that are there even when the process is killed a moment later. Thread safety: all members, from any thread.</summary>
internal sealed class Report(Stream output)
{
    private readonly Lock _lock = new();

    public void Line(string line)
    {
        var bytes = Encoding.UTF8.GetBytes(line + "\n");
        lock (_lock)
        {
            output.Write(bytes);
        }
    }

    public void Step(string step, params ReadOnlySpan<object> details)
    {
        var line = new StringBuilder(step);
        foreach (var detail in details)
        {
            line.Append(' ').Append(Convert.ToString(detail, CultureInfo.InvariantCulture));
        }

        Line(line.ToString());
    }

    /// <summary>Something happened that must not.</summary>
    public void Violation(string text) => Line($"violation {text}");
}
