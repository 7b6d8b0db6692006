using KvStore.Requests;
using Microsoft.AspNetCore.Http;

namespace KvStore.Dashboard;

/// <summary>A place for one import or export, of which there are few at one time.</summary>
internal sealed class TransferPlace(SemaphoreSlim places) : IDisposable
{
    /// <exception cref="RefusedException">All are taken (429).</exception>
    public static TransferPlace Take(Visit visit)
    {
        var places = visit.Parts.Transfers;
        return places.Wait(TimeSpan.Zero, CancellationToken.None)
            ? new TransferPlace(places)
            : throw new RefusedException(new Failure(
                StatusCodes.Status429TooManyRequests, 10027, Invariant($"There are {visit.Parts.Options.TransfersMax} imports and exports under way, which is as many as there may be. Try again when one has ended.")));
    }

    public void Dispose() => places.Release();
}
