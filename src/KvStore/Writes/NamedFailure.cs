using KvStore.Keys;
using KvStore.Rules;

namespace KvStore.Writes;

/// <summary>Says in the failure of a write which operation failed, of which key, in which namespace; or of which namespace.</summary>
internal static class NamedFailure
{
    /// <summary>
    /// What a persistence provider has failed with, with the names before its message and the same cause. Any other exception
    /// stays as it is, and so does this one when there is no memory for more.
    /// </summary>
    public static Exception WithNames<TKey>(Exception exception, string operation, string namespaceName, in TKey key)
        where TKey : struct, IKey, allows ref struct
    {
        if (exception.GetType() != typeof(KvPersistenceException))
        {
            return exception;
        }

        try
        {
            var utf8 = new byte[key.Utf8Bytes];
            key.CopyTo(utf8);
            return new KvPersistenceException(
                $"{operation} of the key {VisibleKey.Quote(utf8.AsSpan())} in the namespace {VisibleKey.Quote(namespaceName)}: {exception.Message}",
                exception.InnerException ?? exception);
        }
        catch (OutOfMemoryException)
        {
            return exception;
        }
    }

    /// <summary>As the other overload, for an operation of the whole namespace.</summary>
    public static ValueTask WithNames(ValueTask operation, string name, string namespaceName) =>
        operation.IsCompletedSuccessfully ? operation : WithNamesAsync(operation, name, namespaceName);

    private static async ValueTask WithNamesAsync(ValueTask operation, string name, string namespaceName)
    {
        try
        {
            await operation.ConfigureAwait(false);
        }
        catch (KvPersistenceException e) when (e.GetType() == typeof(KvPersistenceException))
        {
            throw new KvPersistenceException($"{name} of the namespace {VisibleKey.Quote(namespaceName)}: {e.Message}", e.InnerException ?? e);
        }
    }
}
