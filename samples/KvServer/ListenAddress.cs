using System.Net;
using System.Net.Sockets;

namespace KvServer;

/// <summary>
/// An address to listen on. Kestrel accepts every text that begins like an address, and takes a host that it does not know, such as
/// 256.1.1.1, for all addresses of the machine. So a typing error would open the server to the network.
/// </summary>
internal sealed class ListenAddress
{
    private const string Example = "for example http://127.0.0.1:8790";

    private ListenAddress(string text, string host, int port)
    {
        Text = text;
        Host = host;
        Port = port;
    }

    /// <summary>The address as it was written.</summary>
    public string Text { get; }

    private string Host { get; }

    private int Port { get; }

    private bool IsLocalhost => Host.Equals("localhost", StringComparison.OrdinalIgnoreCase);

    private bool IsEverywhere => Host is "*" or "+" || (IPAddress.TryParse(Host, out var ip) && (ip.Equals(IPAddress.Any) || ip.Equals(IPAddress.IPv6Any)));

    /// <summary>Reads the addresses of a setting, which are separated by semicolons.</summary>
    /// <param name="setting">The option, for messages.</param>
    /// <param name="value">Its value.</param>
    /// <param name="taken">Addresses of another setting.</param>
    /// <exception cref="StartFailure">One is no address, or there are two of which only one can be had.</exception>
    public static List<ListenAddress> ReadAll(string setting, string value, params IEnumerable<ListenAddress> taken)
    {
        List<ListenAddress> all = [.. taken];
        List<ListenAddress> read = [];
        foreach (var text in value.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var address = Read(setting, text);
            if (all.Find(other => other.Excludes(address)) is { } other)
            {
                throw new StartFailure($"{setting}: {text} and {other.Text} have the same port, so only one of them can be had. Give {text} another port.");
            }

            all.Add(address);
            read.Add(address);
        }

        return read.Count > 0 ? read : throw new StartFailure($"{setting}: there is no address in it. Give one that begins with http://, {Example}.");
    }

    private static ListenAddress Read(string setting, string text)
    {
        var hostStart = text.StartsWith("http://", StringComparison.OrdinalIgnoreCase) ? 7 : text.StartsWith("https://", StringComparison.OrdinalIgnoreCase) ? 8 : -1;
        if (hostStart < 0)
        {
            throw new StartFailure($"{setting}: {Quote(text)} is no address, because it does not begin with http:// or https://. Give one that does, {Example}.");
        }

        var end = text.AsSpan(hostStart).IndexOfAny('/', '?', '#');
        var authority = end < 0 ? text[hostStart..] : text[hostStart..(hostStart + end)];
        var colon = authority.IndexOf(':', authority.LastIndexOf(']') + 1);
        var host = colon < 0 ? authority : authority[..colon];
        CheckHost(setting, text, host, authority);
        var isSecure = hostStart == 8;
        var port = isSecure ? 443 : 80;
        if (colon >= 0 && !(ushort.TryParse(authority.AsSpan(colon + 1), System.Globalization.NumberStyles.None, null, out var number) && (port = number) >= 0))
        {
            throw new StartFailure($"{setting}: the port of {Quote(text)} is not a number of 0 to 65535. Give one that is, {Example}.");
        }

        if (end >= 0 && text[(hostStart + end)..] != "/")
        {
            throw new StartFailure($"{setting}: {Quote(text)} has a path or a query, and the server answers at its root only. Leave out what follows the port.");
        }

        return port == 0 && host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
            ? throw new StartFailure($"{setting}: {Quote(text)} stands for two addresses, which cannot have one free port. Name http://127.0.0.1:0 or http://[::1]:0.")
            : new ListenAddress(text, host.Trim('[', ']'), port);
    }

    private static void CheckHost(string setting, string text, string host, string authority)
    {
        if (!host.StartsWith('[') && authority.Count(':') > 1 && IPAddress.TryParse(authority[..authority.LastIndexOf(':')], out var bare))
        {
            throw new StartFailure($"{setting}: {Quote(text)} has an IPv6 address without brackets. Write it as [{bare}].");
        }

        var isAddress = host.StartsWith('[') && host.EndsWith(']')
            ? IPAddress.TryParse(host[1..^1], out var six) && six.AddressFamily == AddressFamily.InterNetworkV6
            : host.Count('.') == 3 && IPAddress.TryParse(host, out var four) && four.AddressFamily == AddressFamily.InterNetwork;
        if (!isAddress && host is not ("*" or "+") && !host.Equals("localhost", StringComparison.OrdinalIgnoreCase))
        {
            throw new StartFailure(
                $"{setting}: the host of {Quote(text)} is not an IP address, localhost or *, which stands for all addresses of this machine. Name one of these, {Example}.");
        }
    }

    // Whether only one of the two addresses can be listened on.
    private bool Excludes(ListenAddress other)
    {
        if (Port != other.Port || Port == 0)
        {
            return false;
        }

        return IsEverywhere || other.IsEverywhere || (IsLocalhost && other.IsLoopback()) || (other.IsLocalhost && IsLoopback())
            || (IPAddress.TryParse(Host, out var mine) && IPAddress.TryParse(other.Host, out var its) && mine.Equals(its));
    }

    private bool IsLoopback() => IsLocalhost || (IPAddress.TryParse(Host, out var ip) && (ip.Equals(IPAddress.Loopback) || ip.Equals(IPAddress.IPv6Loopback)));

    private static string Quote(string text) => '"' + text + '"';
}
