/// What a descriptor is ready for.
package struct Readiness: OptionSet, Sendable {
    package var rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let readable = Readiness(rawValue: 1)
    package static let writable = Readiness(rawValue: 2)
    /// The other end is gone, or the descriptor has failed.
    package static let closed = Readiness(rawValue: 4)

    var mask: UInt32 { UInt32(rawValue) }
}

/// Told, on the polling thread, that a descriptor is ready. It must not block.
///
/// Readiness is level-triggered: what is not read is told again. One handler is never called by two threads at once.
package protocol EventHandler: AnyObject, Sendable {
    func ready(_ readiness: Readiness)
}

/// The handlers by token. A token names a slot and its generation, so that an event of a descriptor that is gone never
/// reaches the slot's next user.
struct SourceTable {
    static let wakeToken = UInt64.max

    private struct Slot {
        var handler: (any EventHandler)?
        var generation: UInt32 = 0
    }

    private var slots: [Slot] = []
    private var free: [UInt32] = []

    mutating func add(_ handler: any EventHandler) -> UInt64 {
        let index = free.popLast() ?? UInt32(slots.count)
        if index == slots.count { slots.append(Slot()) }
        slots[Int(index)].handler = handler
        return UInt64(slots[Int(index)].generation) &<< 32 | UInt64(index)
    }

    func handler(of token: UInt64) -> (any EventHandler)? {
        let slot = slots[Int(UInt32(truncatingIfNeeded: token))]
        return slot.generation == UInt32(truncatingIfNeeded: token &>> 32) ? slot.handler : nil
    }

    /// - Returns: the handler, for the caller to let go of when it holds no lock.
    mutating func remove(_ token: UInt64) -> (any EventHandler)? {
        let index = Int(UInt32(truncatingIfNeeded: token))
        defer { slots[index].handler = nil }
        slots[index].generation &+= 1
        free.append(UInt32(index))
        return slots[index].handler
    }

    mutating func forgetHandlers() {
        for index in slots.indices { slots[index].handler = nil }
    }
}
