using System.Net;
using System.Net.Sockets;
using System.Threading.RateLimiting;

namespace KvServer;

/// <summary>
/// Limits how often an address may try a wrong token: ten times in five minutes. Right tokens are not counted. An address that has not
/// tried for a while is forgotten. Thread safety: all members, from any thread.
/// </summary>
internal sealed class FailedSignIns : IDisposable
{
    private const int FailuresMax = 10;

    private static readonly TimeSpan s_window = TimeSpan.FromMinutes(5);

    private readonly PartitionedRateLimiter<IPAddress?> _failures = PartitionedRateLimiter.Create<IPAddress?, IPAddress>(
        address => RateLimitPartition.GetFixedWindowLimiter(NetworkOf(address), static _ => new FixedWindowRateLimiterOptions
        {
            PermitLimit = FailuresMax,
            Window = s_window,
        }));

    /// <summary>Whether an address has to wait before it may try again, and how long.</summary>
    public bool MustWait(IPAddress? address, out TimeSpan wait) => !IsAllowed(address, failures: 0, out wait);

    /// <summary>Counts a wrong token.</summary>
    /// <returns>False when there were too many already, among those that were tried at the same time.</returns>
    public bool TryCount(IPAddress? address, out TimeSpan wait) => IsAllowed(address, failures: 1, out wait);

    public void Dispose() => _failures.Dispose();

    private bool IsAllowed(IPAddress? address, int failures, out TimeSpan wait)
    {
        using var lease = _failures.AttemptAcquire(address, failures);
        wait = lease.TryGetMetadata(MetadataName.RetryAfter, out var after) ? after : s_window;
        return lease.IsAcquired;
    }

    // A user with one IPv6 address has 2^64 of them, so the network counts.
    private static IPAddress NetworkOf(IPAddress? address)
    {
        if (address is null || address.IsIPv4MappedToIPv6)
        {
            return address?.MapToIPv4() ?? IPAddress.None;
        }

        if (address.AddressFamily is not AddressFamily.InterNetworkV6)
        {
            return address;
        }

        var bytes = address.GetAddressBytes();
        bytes.AsSpan(8).Clear();
        return new IPAddress(bytes);
    }
}
