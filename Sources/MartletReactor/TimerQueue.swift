/// Deadlines in order: a binary heap whose cancelled entries are dropped when they come up, or at once when they are
/// most of it. Equal deadlines come in the order in which they were added.
struct TimerQueue<Payload> {
    struct Token: Hashable, Sendable {
        fileprivate var number: UInt64
    }

    private struct Entry {
        var deadline: UInt64
        var number: UInt64

        static func < (left: Entry, right: Entry) -> Bool {
            left.deadline != right.deadline ? left.deadline < right.deadline : left.number < right.number
        }
    }

    private var heap: [Entry] = []
    private var payloads: [UInt64: Payload] = [:]
    private var lastNumber: UInt64 = 0

    var count: Int { payloads.count }
    /// With those that are cancelled and not dropped yet.
    var entries: Int { heap.count }

    mutating func add(_ payload: Payload, at deadline: UInt64) -> Token {
        lastNumber += 1
        payloads[lastNumber] = payload
        heap.append(Entry(deadline: deadline, number: lastNumber))
        siftUp(heap.count - 1)
        return Token(number: lastNumber)
    }

    /// - Returns: the payload, if its time had not come.
    @discardableResult
    mutating func cancel(_ token: Token) -> Payload? {
        guard let payload = payloads.removeValue(forKey: token.number) else { return nil }
        if heap.count > 64, heap.count > 2 * payloads.count { compact() }
        return payload
    }

    /// When the first deadline is.
    mutating func nextDeadline() -> UInt64? {
        while let first = heap.first {
            if payloads[first.number] != nil { return first.deadline }
            removeFirst()
        }
        return nil
    }

    /// Takes one payload whose time has come.
    mutating func popDue(now: UInt64) -> Payload? {
        guard let deadline = nextDeadline(), deadline <= now else { return nil }
        return payloads.removeValue(forKey: removeFirst().number)
    }

    private mutating func compact() {
        heap.removeAll { payloads[$0.number] == nil }
        heap.sort(by: <)
    }

    @discardableResult
    private mutating func removeFirst() -> Entry {
        heap.swapAt(0, heap.count - 1)
        let entry = heap.removeLast()
        siftDown(0)
        return entry
    }

    private mutating func siftUp(_ start: Int) {
        var index = start
        while index > 0 {
            let parent = (index - 1) / 2
            guard heap[index] < heap[parent] else { return }
            heap.swapAt(index, parent)
            index = parent
        }
    }

    private mutating func siftDown(_ start: Int) {
        var index = start
        while true {
            var smallest = index
            for child in [2 * index + 1, 2 * index + 2] where child < heap.count {
                if heap[child] < heap[smallest] { smallest = child }
            }
            guard smallest != index else { return }
            heap.swapAt(index, smallest)
            index = smallest
        }
    }
}
