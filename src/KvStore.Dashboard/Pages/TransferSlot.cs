using KvStore.Dashboard.Requests;
using KvStore.Http;

namespace KvStore.Dashboard.Pages;

/// <summary>A slot for one import or export; their number is limited.</summary>
internal sealed class TransferSlot(SemaphoreSlim slots) : IDisposable
{
    /// <exception cref="RefusedException">All slots are taken (429).</exception>
    public static TransferSlot Take(Visit visit)
    {
        var slots = visit.Dashboard.TransferSlots;
        return slots.Wait(TimeSpan.Zero, CancellationToken.None)
            ? new TransferSlot(slots)
            : throw new RefusedException(Failure.TooManyRequests(Invariant(
                $"There are {visit.Dashboard.Options.TransfersMax} imports and exports under way, which is the limit. Try again when one has ended.")));
    }

    public void Dispose() => slots.Release();
}
