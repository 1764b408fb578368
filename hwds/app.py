def main(data):
    from hwds.config.check import check
    print(check(data)); return 0
