using System.Collections.Concurrent;
using System.Diagnostics;
using KvStore.Http;

namespace KvStore.Rest;

/// <summary>
/// Counts the bytes that the bulk requests of each token hold, and refuses requests beyond the limit, so that one client does not
/// take the memory of the others. Thread safety: all members, from any thread.
/// </summary>
internal sealed class BytesInFlight(KvApiOptions options)
{
    // What a request holds before it has sent anything: buffers, and entries in the tables of the server.
    private const int RequestBytes = 64 * 1024;

    private readonly ConcurrentDictionary<KvToken, Account> _accounts = new();

    /// <summary>Begins to count a request.</summary>
    /// <returns>The share of the request, which the caller disposes when the request ends.</returns>
    /// <exception cref="RefusedException">The token has reached its limit (429).</exception>
    public Share Enter(KvToken token)
    {
        var account = _accounts.GetOrAdd(token, static _ => new Account());
        if (Interlocked.Increment(ref account.Requests) > options.BulkRequestsMax)
        {
            Interlocked.Decrement(ref account.Requests);
            throw TooMuch(Invariant($"This token has {options.BulkRequestsMax} bulk requests under way, which is the limit."));
        }

        var share = new Share(account, options.BulkBytesInFlightMax);
        try
        {
            share.Add(RequestBytes);
            return share;
        }
        catch
        {
            share.Dispose();
            throw;
        }
    }

    private static RefusedException TooMuch(string message) =>
        new(Failure.TooManyRequests(message + " Try again."));

    private sealed class Account
    {
        public int Requests;
        public long Bytes;
    }

    /// <summary>The bytes that one request holds. For one caller at a time.</summary>
    public sealed class Share : IDisposable
    {
        private readonly Account _account;
        private readonly long _bytesMax;
        private long _bytes;
        private bool _isDisposed;

        internal Share(object account, long bytesMax)
        {
            _account = (Account)account;
            _bytesMax = bytesMax;
        }

        /// <summary>Counts more bytes, until the request ends.</summary>
        /// <exception cref="RefusedException">The token is over its limit (429).</exception>
        public void Add(long bytes)
        {
            _bytes += bytes;
            if (Interlocked.Add(ref _account.Bytes, bytes) > _bytesMax)
            {
                throw TooMuch(Invariant($"The bulk requests of this token have more than {_bytesMax} bytes in flight, which is the limit."));
            }
        }

        public void Dispose()
        {
            if (!_isDisposed)
            {
                _isDisposed = true;
                var bytes = Interlocked.Add(ref _account.Bytes, -_bytes);
                var requests = Interlocked.Decrement(ref _account.Requests);
                Debug.Assert(bytes >= 0 && requests >= 0, "No more is released than was counted.");
            }
        }
    }
}
