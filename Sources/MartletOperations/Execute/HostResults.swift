/// What came of each host, in the order in which they were named. A host that was named twice is there twice.
public struct HostResults<Value: Sendable>: Sendable, RandomAccessCollection {
    /// A host, and what came of it.
    public typealias Element = (host: OperationHost, value: Value)

    private let elements: [Element]

    init(_ hosts: [OperationHost], _ values: [Value]) {
        elements = zip(hosts, values).map { (host: $0, value: $1) }
    }

    /// 0.
    public var startIndex: Int { 0 }
    /// How many there are.
    public var endIndex: Int { elements.count }
    /// By the place at which the host was named.
    public subscript(position: Int) -> Element { elements[position] }
    /// Of the first host of that name.
    public subscript(host: String) -> Value? { elements.first { $0.host.name == host }?.value }
    /// In order.
    public var values: [Value] { elements.map(\.value) }
}

extension HostResults {
    /// Those that succeeded.
    public func succeeded<R>() -> [(host: OperationHost, value: R)] where Value == Result<R, any Error> {
        compactMap { element in (try? element.value.get()).map { (host: element.host, value: $0) } }
    }

    /// Those that failed.
    public func failed<R>() -> [(host: OperationHost, error: any Error)] where Value == Result<R, any Error> {
        compactMap { element in
            if case .failure(let error) = element.value { (host: element.host, error: error) } else { nil }
        }
    }
}
