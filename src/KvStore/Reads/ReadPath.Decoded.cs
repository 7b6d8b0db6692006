using System.Runtime.CompilerServices;
using KvStore.Index;
using KvStore.Keys;
using KvStore.Rules;

namespace KvStore.Reads;

/// <content>Reads of what values were decoded to.</content>
internal sealed partial class ReadPath
{
    /// <summary>As <see cref="Find(string)"/>, for what the value was decoded to; keys of other lengths are probed too.</summary>
    /// <typeparam name="TOutcome">What is looked for.</typeparam>
    /// <param name="key">The key.</param>
    /// <param name="outcome">Where it is looked for.</param>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public ProbedObject FindDecoded<TOutcome>(string key, TOutcome outcome)
        where TOutcome : struct, IProbeOutcome<ProbedObject>
    {
        if (_mode != ReadMode.Direct)
        {
            return _mode == ReadMode.Counting ? ProbeDecoded(key, new CountedOutcome<TOutcome>(outcome)) : ProbedObject.Unknown;
        }

        if (key is not null && TwoBlockKey.Fits(key.Length))
        {
            return TwoBlockKey.TryRead(key, out var read)
                ? _index.Probe<TwoBlockKey, TOutcome, ProbedObject>(read, _clock, outcome)
                : ProbedObject.Unknown;
        }

        return FindDecodedUncommon(key!, outcome);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private ProbedObject ProbeDecoded<TOutcome>(string key, TOutcome outcome)
        where TOutcome : struct, IProbeOutcome<ProbedObject> =>
        key is null || !TwoBlockKey.Fits(key.Length) ? FindDecodedUncommon(key!, outcome)
        : TwoBlockKey.TryRead(key, out var read) ? _index.Probe<TwoBlockKey, TOutcome, ProbedObject>(read, _clock, outcome)
        : ProbedObject.Unknown;

    [MethodImpl(MethodImplOptions.NoInlining)]
    private ProbedObject FindDecodedUncommon<TOutcome>(string key, TOutcome outcome)
        where TOutcome : struct, IProbeOutcome<ProbedObject> =>
        KeyRules.TryAscii(key, _keyBytesMax, out var hash)
            ? _index.Probe<AsciiKey, TOutcome, ProbedObject>(new AsciiKey(key, hash), _clock, outcome)
            : ProbedObject.Unknown;
}
