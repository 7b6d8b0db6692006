using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using KvStore.Adapters;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.DataProtection;

namespace KvStore.Tickets;

/// <summary>The bytes of a ticket in the store. They are encrypted and signed, together with the key and the deadline of the ticket.</summary>
/// <remarks>
/// Somebody who can write to the namespace cannot put the ticket of an administrator in the place of another one, because the key is
/// signed with it. Format before it is protected: deadline 8 bytes, length of the key 2 bytes, key in UTF-8, ticket as
/// <see cref="TicketSerializer"/> writes it.
/// </remarks>
internal sealed class TicketFormat(IDataProtectionProvider dataProtection, string @namespace)
{
    private const int KeyLengthOffset = sizeof(long);
    private const int KeyOffset = KeyLengthOffset + sizeof(ushort);

    private readonly IDataProtector _protector = dataProtection.CreateProtector("KvStore.Tickets", @namespace, "v1");

    /// <summary>Writes a ticket.</summary>
    /// <param name="key">The key of the entry, without the prefix of the adapter.</param>
    /// <param name="deadline">The moment from which it is gone.</param>
    /// <param name="ticket">The ticket.</param>
    public byte[] Protect(string key, ExactDeadline deadline, AuthenticationTicket ticket)
    {
        var serialized = TicketSerializer.Default.Serialize(ticket);
        var keyBytes = Encoding.UTF8.GetByteCount(key);
        var bytes = new byte[KeyOffset + keyBytes + serialized.Length];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, deadline.UtcTicks);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(KeyLengthOffset), checked((ushort)keyBytes));
        Encoding.UTF8.GetBytes(key, bytes.AsSpan(KeyOffset));
        serialized.CopyTo(bytes.AsSpan(KeyOffset + keyBytes));
        return _protector.Protect(bytes);
    }

    /// <summary>Reads a ticket.</summary>
    /// <param name="key">The key of the entry.</param>
    /// <param name="value">The bytes of the entry.</param>
    /// <returns>The ticket and its deadline; null when the bytes are a ticket of another key.</returns>
    /// <exception cref="CryptographicException">The bytes were not written by this application, or its keys are gone.</exception>
    public (AuthenticationTicket Ticket, ExactDeadline Deadline)? Unprotect(string key, ReadOnlyMemory<byte> value)
    {
        var bytes = _protector.Unprotect(value.ToArray());
        var deadline = new ExactDeadline(BinaryPrimitives.ReadInt64LittleEndian(bytes));
        var keyBytes = BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(KeyLengthOffset));
        return Encoding.UTF8.GetString(bytes, KeyOffset, keyBytes) == key
            && TicketSerializer.Default.Deserialize(bytes[(KeyOffset + keyBytes)..]) is { } ticket
            ? (ticket, deadline)
            : null;
    }
}
