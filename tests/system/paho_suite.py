"""One test of the paho.mqtt.testing interoperability suites, in this process: paho_suite.py CHECKOUT SUITE TEST PORT [bare].

The suites' own command line fights unittest, so their module globals are set here. bare: without their clean-up, which needs several
client ids. Exit code 0: passed; 1: failed, the reason is on stdout. The caller limits the time.
"""
import logging
import pathlib
import sys
import unittest

checkout, suite, test, port = sys.argv[1:5]
sys.path.insert(0, str(pathlib.Path(checkout) / "interoperability"))
sys.dont_write_bytecode = True
module = __import__(suite)
module.host, module.port = "127.0.0.1", int(port)
module.topic_prefix = "client_test5/"
module.topics = ("TopicA", "TopicA/B", "Topic/C", "TopicA/C", "/TopicA")
module.wildtopics = ("TopicA/+", "+/C", "#", "/#", "/+", "+/+", "TopicA/#")
module.nosubscribe_topics = ("test/nosubscribe",)
if "bare" in sys.argv[5:]:
    module.cleanup = lambda: None
logging.getLogger().setLevel(logging.CRITICAL)
result = unittest.TextTestRunner(stream=sys.stdout, verbosity=0).run(unittest.TestSuite([module.Test(test)]))
sys.stdout.flush()
sys.exit(0 if result.wasSuccessful() and result.testsRun == 1 else 1)
