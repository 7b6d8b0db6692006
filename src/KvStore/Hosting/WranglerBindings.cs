using KvStore.Wrangler;

namespace KvStore.Hosting;

/// <summary>The bindings of one environment of a Wrangler file, and the warnings for the log.</summary>
internal sealed record WranglerBindings(IReadOnlyList<WranglerBinding> Bindings, IReadOnlyList<string> Warnings);
