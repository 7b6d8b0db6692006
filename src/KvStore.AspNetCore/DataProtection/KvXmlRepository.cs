using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Xml;
using System.Xml.Linq;
using KvStore.Rules;
using Microsoft.AspNetCore.DataProtection.Repositories;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace KvStore.DataProtection;

/// <summary>Keeps the keys and revocations of Data Protection in a namespace: one entry for each, as XML.</summary>
/// <remarks>
/// <para>The framework's interface is synchronous, so every member blocks until the namespace has answered. A write is on the disk when the
/// member returns, whatever the durability of the namespace is.</para>
/// <para>A failure of the namespace is thrown, because an application that cannot read its revocations must not go on. Only a
/// deletion that fails is reported by the result, as the interface demands.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
internal sealed class KvXmlRepository(IServiceProvider services, KvAdapter adapter, ILogger logger) : IDeletableXmlRepository
{
    /// <summary>The longest key after the prefix: a name, and what makes it unique.</summary>
    public const int NameBytesMax = LabelCharsMax + UniqueChars;

    private const int LabelCharsMax = 128;

    // A hyphen and 32 hexadecimal digits.
    private const int UniqueChars = 33;

    private static readonly SearchValues<char> s_dots = SearchValues.Create(".");

    // Opened by the first who resolves it: the framework may ask for keys before the host has started.
    private IKvExtendedNamespace Namespace => adapter.GetNamespace<IKvExtendedNamespace>(services);

    public IReadOnlyCollection<XElement> GetAllElements() =>
        Counted("get", () => Wait(ReadAllAsync()).ConvertAll(static stored => stored.Element));

    public void StoreElement(XElement element, string friendlyName)
    {
        ArgumentNullException.ThrowIfNull(element);
        Counted("store", () => Wait(StoreAsync(element.ToString(SaveOptions.DisableFormatting), LabelOf(friendlyName))));
    }

    public bool DeleteElements(Action<IReadOnlyCollection<IDeletableElement>> chooseElements)
    {
        ArgumentNullException.ThrowIfNull(chooseElements);
        var elements = Counted("get", () => Wait(ReadAllAsync()));
        chooseElements(elements);
        return Wait(DeleteAsync(elements.Where(static element => element.DeletionOrder is not null).OrderBy(static element => element.DeletionOrder)));
    }

    /// <summary>The part of a key that shows the name which the framework gave an element: <c>key-…</c>, <c>revocation-…</c>.</summary>
    internal static string LabelOf(string? friendlyName)
    {
        var label = Uri.EscapeDataString(friendlyName ?? "");
        return label.Length == 0 || !label.AsSpan().ContainsAnyExcept(s_dots) ? Guid.NewGuid().ToString("N", CultureInfo.InvariantCulture)
            : label.Length <= LabelCharsMax ? label
            : "sha256-" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(label)));
    }

    private async Task<List<StoredElement>> ReadAllAsync()
    {
        var elements = new List<StoredElement>();
        await foreach (var entry in Namespace.ScanAsync(adapter.Prefix).ConfigureAwait(false))
        {
            // An element that cannot be read fails the call, because it may be the revocation of a key.
            var bytes = await entry.Value.ReadBytesAsync().ConfigureAwait(false);
            elements.Add(new StoredElement(entry.Key, Parse(entry.Key, bytes)));
        }

        return elements;
    }

    private XElement Parse(string key, ReadOnlyMemory<byte> xml)
    {
        try
        {
            using var reader = new StringReader(Encoding.UTF8.GetString(xml.Span));
            using var xmlReader = XmlReader.Create(reader, new XmlReaderSettings { DtdProcessing = DtdProcessing.Prohibit });
            return XElement.Load(xmlReader);
        }
        catch (XmlException)
        {
            // Without an inner exception: it may quote the key material.
            throw new InvalidDataException(
                $"The entry {VisibleKey.Quote(key)} of the KV namespace {VisibleKey.Quote(adapter.Namespace)} is not XML, and Data Protection keeps its keys there. Delete the entry if it is not one of its keys or revocations.");
        }
    }

    private async Task<bool> StoreAsync(string xml, string label)
    {
        var kv = Namespace;
        var result = await kv.TryPutAsync(adapter.Prefix + label, xml, KvCondition.Absent).ConfigureAwait(false);
        while (!result.Succeeded)
        {
            // Another element has this name. Both are kept.
            result = await kv.TryPutAsync(Invariant($"{adapter.Prefix}{label}-{Guid.NewGuid():N}"), xml, KvCondition.Absent).ConfigureAwait(false);
        }

        await FlushAsync(kv).ConfigureAwait(false);
        return true;
    }

    private async Task<bool> DeleteAsync(IEnumerable<StoredElement> chosen)
    {
        try
        {
            var kv = Namespace;
            foreach (var element in chosen)
            {
                // One after the other: the revocation of a key must stay when the key could not be deleted.
                await kv.DeleteAsync(element.Key).ConfigureAwait(false);
            }

            await FlushAsync(kv).ConfigureAwait(false);
            adapter.CountRequest("delete", "ok");
            return true;
        }
        catch (Exception e) when (e is KvException or KvPersistenceException or ObjectDisposedException)
        {
            adapter.CountRequest("delete", "error");
            logger.DeletionFailed(adapter.Namespace, e);
            return false;
        }
    }

    private static ValueTask FlushAsync(IKvExtendedNamespace kv) => kv is KvNamespace local ? local.FlushAsync() : default;

    // Blocks the caller. The namespace works on the thread pool, and does not need the thread of the caller.
    private static T Wait<T>(Task<T> task) => task.GetAwaiter().GetResult();

    private T Counted<T>(string operation, Func<T> call)
    {
        try
        {
            var result = call();
            adapter.CountRequest(operation, "ok");
            return result;
        }
        catch
        {
            adapter.CountRequest(operation, "error");
            throw;
        }
    }

    private sealed class StoredElement(string key, XElement element) : IDeletableElement
    {
        public string Key => key;

        public XElement Element => element;

        public int? DeletionOrder { get; set; }
    }
}
