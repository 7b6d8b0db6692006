using System.Collections.Concurrent;
using KvStore.Requests;
using Microsoft.AspNetCore.Http;

namespace KvStore.Rest;

/// <summary>
/// Counts what the bulk requests of each token hold, and refuses more than there may be: what one client does leaves the others
/// alone. Thread safety: all members, from any thread.
/// </summary>
internal sealed class BytesInFlight(KvApiOptions options)
{
    // What a request holds that has sent nothing yet: buffers, and a place in the tables of the server.
    private const int RequestBytes = 64 * 1024;

    private readonly ConcurrentDictionary<KvToken, Account> _accounts = new();

    /// <summary>Begins to count a request.</summary>
    /// <exception cref="RefusedException">The token has as much in flight as it may have (429).</exception>
    public Share Enter(KvToken token)
    {
        var account = _accounts.GetOrAdd(token, static _ => new Account());
        if (Interlocked.Increment(ref account.Requests) > options.BulkRequestsMax)
        {
            Interlocked.Decrement(ref account.Requests);
            throw TooMuch(Invariant($"This token has {options.BulkRequestsMax} bulk requests under way, which is as many as it may have."));
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
        new(new Failure(StatusCodes.Status429TooManyRequests, Failure.TooManyRequestsCode, message + " Try again."));

    private sealed class Account
    {
        public int Requests;
        public long Bytes;
    }

    /// <summary>What one request holds. For one caller at a time.</summary>
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
        /// <exception cref="RefusedException">That is more than the token may have in flight (429).</exception>
        public void Add(long bytes)
        {
            _bytes += bytes;
            if (Interlocked.Add(ref _account.Bytes, bytes) > _bytesMax)
            {
                throw TooMuch(Invariant($"The bulk requests of this token have more than {_bytesMax} bytes in flight, which is as much as they may have."));
            }
        }

        public void Dispose()
        {
            if (!_isDisposed)
            {
                _isDisposed = true;
                Interlocked.Add(ref _account.Bytes, -_bytes);
                Interlocked.Decrement(ref _account.Requests);
            }
        }
    }
}
