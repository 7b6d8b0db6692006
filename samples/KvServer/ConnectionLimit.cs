using System.Globalization;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace KvServer;

/// <summary>
/// Limits the number of connections to fewer than the process has descriptors. Connections need no token, and must not take the
/// descriptors that writes need. Without a free descriptor the .NET runtime cannot start threads, and may end the process.
/// </summary>
internal static class ConnectionLimit
{
    // The runtime keeps the files of its assemblies open, about 230; the rest is for namespaces and files in use.
    private const int Reserved = 300;
    private const int ConnectionsMin = 16;
    private const string LimitsFile = "/proc/self/limits";
    private const string LimitLine = "Max open files";

    /// <summary>Bounds the connections of one of the two servers of this process.</summary>
    /// <param name="kestrel">The server.</param>
    /// <param name="divisor">The server gets the limit divided by this.</param>
    public static void BoundConnections(this KestrelServerOptions kestrel, int divisor)
    {
        if (DescriptorsMax() is { } descriptors)
        {
            kestrel.Limits.MaxConcurrentConnections = Math.Max(ConnectionsMin, (descriptors - Reserved) / divisor);
        }
    }

    // The limit, after the runtime has raised it. Null when the system has no such file, or no limit.
    private static long? DescriptorsMax()
    {
        if (!File.Exists(LimitsFile))
        {
            return null;
        }

        var line = File.ReadLines(LimitsFile).FirstOrDefault(text => text.StartsWith(LimitLine, StringComparison.Ordinal));
        var soft = line?[LimitLine.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries).FirstOrDefault();
        return long.TryParse(soft, NumberStyles.None, CultureInfo.InvariantCulture, out var limit) ? limit : null;
    }
}
