using KvStore.Wrangler;

namespace KvStore.Hosting;

/// <summary>What a Wrangler file binds in one environment, and what the log should say of it.</summary>
internal sealed record WranglerBindings(IReadOnlyList<WranglerBinding> Bindings, IReadOnlyList<string> Warnings);
