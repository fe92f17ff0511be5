import MartletReactor
import Synchronization

/// The ends of channels to several members, used as one.
///
/// Members may repeat: two channels to one host are two elements.
public struct ChannelGroup<Member: Hashable & Sendable, Outgoing: Codable & Sendable, Incoming: Codable & Sendable>:
    Sendable
{
    /// One member's end.
    public struct Element: Sendable {
        /// Whose it is.
        public let member: Member
        /// Our end of the channel to the member.
        public let end: ChannelEnd<Outgoing, Incoming>
    }

    /// What came from a member.
    public enum Event: Sendable {
        /// An item.
        case item(Member, Incoming)
        /// The member's channel has ended; told once for each.
        case ended(Member, (any Error)?)
    }

    private let elements: [Element]

    /// A group of the given ends, in this order.
    public init(_ ends: some Sequence<(Member, ChannelEnd<Outgoing, Incoming>)>) {
        elements = ends.map { Element(member: $0.0, end: $0.1) }
    }

    /// The end of the first element of that member; `nil` if there is none.
    public subscript(member member: Member) -> ChannelEnd<Outgoing, Incoming>? {
        elements.first { $0.member == member }?.end
    }

    /// Sends an item to each member; all of them at once, so that a slow one holds up none.
    ///
    /// - Throws: ``ChannelGroupError`` with every member that did not get it; `CancellationError`.
    public func sendEach(_ item: Outgoing) async throws {
        try await each { try await $0.send(item) }
    }

    /// Waits for one item from each member.
    ///
    /// - Parameter timeout: for all of them together; `nil`: as long as it takes.
    /// - Returns: the items in the group's order; `nil` for members whose channel has ended.
    /// - Throws: ``ChannelGroupError`` with every member that failed; what others sent stays with them unread only if it
    ///   had not come yet. `CancellationError`.
    public func receiveEach(timeout: Duration? = nil) async throws -> [(member: Member, item: Incoming?)] {
        let items = try await each { try await $0.receive(timeout: timeout) }
        return zip(elements, items).map { ($0.member, $1) }
    }

    /// Waits until every member has closed its end.
    ///
    /// - Throws: ``ChannelGroupError`` with every member whose channel ended with an error, or that did not end within
    ///   `timeout`; `CancellationError`.
    public func waitClose(timeout: Duration? = nil) async throws {
        try await each { try await $0.waitClose(timeout: timeout) }
    }

    /// Closes every end.
    public func close(throwing error: (any Error)? = nil) {
        for element in elements { element.end.close(throwing: error) }
    }

    @discardableResult
    private func each<R: Sendable>(
        _ body: @escaping @Sendable (ChannelEnd<Outgoing, Incoming>) async throws -> R
    ) async throws -> [R] {
        let results = await withTaskGroup(of: (Int, Result<R, any Error>).self) { group in
            for (index, element) in elements.enumerated() {
                group.addTask {
                    do { return (index, .success(try await body(element.end))) } catch {
                        return (index, .failure(error))
                    }
                }
            }
            var results = [Result<R, any Error>?](repeating: nil, count: elements.count)
            for await (index, result) in group { results[index] = result }
            return results.map { $0! }
        }
        try Task.checkCancellation()
        let failures = zip(elements, results).compactMap { element, result -> (Member, any Error)? in
            if case .failure(let error) = result { (element.member, error) } else { nil }
        }
        guard failures.isEmpty else { throw ChannelGroupError(failures: failures) }
        return try results.map { try $0.get() }
    }

    /// Everything that comes from any member, as it comes, and when each has ended; then the sequence ends.
    ///
    /// Each use is a reader of its own: an item goes to one of them. Nothing is read ahead: who does not ask makes the
    /// members wait.
    public var events: Events { Events(group: self) }

    /// See ``events``.
    public struct Events: AsyncSequence, Sendable {
        let group: ChannelGroup
        /// An item, or that a member has ended.
        public typealias Element = Event

        /// Begins with all members.
        public func makeAsyncIterator() -> Iterator { Iterator(elements: Array(group.elements)) }

        /// Goes on until every member has ended.
        public struct Iterator: AsyncIteratorProtocol {
            private var elements: [ChannelGroup.Element]
            /// Who is asked first: each in turn, so that none is left waiting behind a busy one.
            private var turn = 0

            fileprivate init(elements: [ChannelGroup.Element]) { self.elements = elements }

            /// The next event; `nil` when every member has ended.
            ///
            /// - Throws: `CancellationError`.
            public mutating func next() async throws -> Event? { try await next(timeout: nil) }

            /// The next event; `nil` when every member has ended.
            ///
            /// - Throws: ``MartletError`` `deadlineExceeded` after `timeout`, and then goes on as before;
            ///   `CancellationError`.
            public mutating func next(timeout: Duration?) async throws -> Event? {
                let deadline = timeout.map { Reactor.now + $0.clampedNanoseconds }
                while !elements.isEmpty {
                    if let event = try take() { return event }
                    let handles = elements.map(\.end.handle)
                    switch await ChannelHandle.wait(forAnyOf: handles, until: deadline) {
                    case .ready: break
                    case .cancelled: throw CancellationError()
                    case .timedOut:
                        if let event = try take() { return event }
                        throw MartletError(.deadlineExceeded, "nothing came from any member within \(timeout!)")
                    }
                }
                return nil
            }

            private mutating func take() throws -> Event? {
                for offset in 0..<elements.count {
                    let index = (turn + offset) % elements.count
                    let element = elements[index]
                    switch element.end.handle.pipe.take(at: element.end.handle.side, waiter: nil) {
                    case .empty: continue
                    case .item(let bytes):
                        turn = index + 1
                        do { return .item(element.member, try element.end.decode(bytes)) } catch {
                            element.end.close(throwing: error)
                            return ended(index, error)
                        }
                    case .end: return ended(index, nil)
                    case .passedOn: return ended(index, ChannelHandle.passedOn)
                    case .failed(let answer):
                        do { _ = try CallAnswer.open(answer, failure: (any Error).self, route: Route()) } catch {
                            return ended(index, error)
                        }
                        return ended(index, nil)
                    }
                }
                return nil
            }

            private mutating func ended(_ index: Int, _ error: (any Error)?) -> Event {
                turn = index
                return .ended(elements.remove(at: index).member, error)
            }
        }
    }
}

extension ChannelGroup: RandomAccessCollection {
    /// Places count from 0.
    public typealias Index = Int
    /// 0.
    public var startIndex: Int { 0 }
    /// How many members there are.
    public var endIndex: Int { elements.count }
    /// The member at a place, with its end.
    public subscript(position: Int) -> Element { elements[position] }
}

/// Every member of a ``ChannelGroup`` for which something failed.
public struct ChannelGroupError<Member: Hashable & Sendable>: Error, CustomStringConvertible {
    /// In the group's order.
    public let failures: [(member: Member, error: any Error)]

    init(failures: [(Member, any Error)]) { self.failures = failures.map { (member: $0.0, error: $0.1) } }

    /// One line a member.
    public var description: String { failures.map { "\($0.member): \($0.error)" }.joined(separator: "\n") }
}

/// Waits until one of several ends, of whatever types, has an item to receive or has ended; nothing is taken from any.
///
/// - Parameter timeout: how long to wait; `nil`: as long as it takes.
/// - Returns: its place among the arguments, from 0; the first if there are several. `nil` after `timeout`.
/// - Throws: `CancellationError`.
public func firstReady<each Outgoing, each Incoming>(
    _ ends: repeat ChannelEnd<each Outgoing, each Incoming>, timeout: Duration? = nil
) async throws -> Int? {
    var handles: [ChannelHandle] = []
    for end in repeat each ends { handles.append(end.handle) }
    let deadline = timeout.map { Reactor.now + $0.clampedNanoseconds }
    while true {
        let probe = ChannelWaiter()
        let ready = handles.firstIndex { $0.pipe.isReady(at: $0.side, waiter: probe) }
        for handle in handles { handle.pipe.forget(probe, at: handle.side) }
        if let ready { return ready }
        switch await ChannelHandle.wait(forAnyOf: handles, until: deadline) {
        case .ready: continue
        case .cancelled: throw CancellationError()
        case .timedOut: return nil
        }
    }
}

extension ChannelHandle {
    /// Waits until one of the ends may have something to take.
    static func wait(forAnyOf handles: [ChannelHandle], until deadline: UInt64?) async -> ChannelWaiter.Wake {
        let waiter = ChannelWaiter()
        guard let first = handles.first else { return .ready }
        defer { for handle in handles { handle.pipe.forget(waiter, at: handle.side) } }
        for handle in handles where handle.pipe.isReady(at: handle.side, waiter: waiter) { return .ready }
        return await waiter.wait(until: deadline, first.runtime.reactor)
    }
}
